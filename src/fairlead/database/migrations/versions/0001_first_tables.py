"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "dead_letters",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("spool", sa.String(length=128), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False, comment="the time that the row claims"),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column(
            "row", sa.Text(), nullable=False, comment="its repr in ASCII, without the inputs, cut where it is long"
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_dead_letters")),
    )
    op.create_index(op.f("ix_dead_letters_at_us"), "dead_letters", ["at_us"], unique=False)
    op.create_table(
        "journal",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.String(length=128), nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("model", sa.String(length=128), nullable=False),
        sa.Column(
            "subject",
            sa.String(length=128),
            nullable=False,
            comment="what it was done to: a version, a rollout, a backup",
        ),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column(
            "key", sa.String(length=128), nullable=True, comment="names a step that may be tried again but happens once"
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_journal")),
        sa.UniqueConstraint("key", name=op.f("uq_journal_key")),
    )
    op.create_index("ix_journal_model_seq", "journal", ["model", "seq"], unique=False)
    op.create_table(
        "labels",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
            comment="the order in which labels came",
        ),
        sa.Column("prediction_id", sa.String(length=48), nullable=False),
        sa.Column("label", sa.String(length=256), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False, comment="when it was taken in"),
        sa.Column("source", sa.String(length=64), nullable=False, comment="who said so"),
        sa.Column("is_current", sa.Boolean(), nullable=False, comment="false once a correction came"),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_labels")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_labels_at_us"), "labels", ["at_us"], unique=False)
    op.create_index("ix_labels_prediction_id", "labels", ["prediction_id"], unique=False)
    op.create_index(
        "uq_labels_current",
        "labels",
        ["prediction_id"],
        unique=True,
        sqlite_where=sa.text("is_current"),
        postgresql_where=sa.text("is_current"),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("holder", sa.String(length=128), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False, comment="grows by one with each holder"),
        sa.Column("expires_us", sa.BigInteger(), nullable=False, comment="by the database's clock where it has one"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )
    op.create_table(
        "passes",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("model", sa.String(length=128), nullable=False),
        sa.Column("trigger", sa.String(length=16), nullable=False, comment="schedule, drift, quality or person"),
        sa.Column("key", sa.String(length=128), nullable=False, comment="what set it off; the same never sets off two"),
        sa.Column("step", sa.String(length=16), nullable=False, comment="the last step that was begun"),
        sa.Column(
            "status",
            sa.String(length=16),
            nullable=False,
            comment="running, published, refused, failed, promoted or rolled_back",
        ),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("outcome", sa.JSON(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=True, comment="what was published"),
        sa.Column("started_us", sa.BigInteger(), nullable=False),
        sa.Column("ended_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passes")),
        sa.UniqueConstraint("model", "key", name=op.f("uq_passes_model")),
    )
    op.create_table(
        "payloads",
        sa.Column("prediction_id", sa.String(length=48), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("model", sa.String(length=128), nullable=False),
        sa.Column("inputs", sa.LargeBinary(), nullable=False, comment="an .npz of the row's input tensors"),
        sa.PrimaryKeyConstraint("prediction_id", name=op.f("pk_payloads")),
    )
    op.create_index(op.f("ix_payloads_at_us"), "payloads", ["at_us"], unique=False)
    op.create_table(
        "predictions",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
            comment="the order in which rows were shipped",
        ),
        sa.Column(
            "id", sa.String(length=48), nullable=False, comment="a UUID, and .ROW where a request had several rows"
        ),
        sa.Column("at_us", sa.BigInteger(), nullable=False, comment="when it was asked for"),
        sa.Column("model", sa.String(length=128), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column(
            "arm",
            sa.String(length=16),
            nullable=False,
            comment="stable, candidate or shadow; empty when a version was asked for",
        ),
        sa.Column(
            "error", sa.String(length=32), server_default="", nullable=False, comment="a canonical code; empty for none"
        ),
        sa.Column("latency_us", sa.BigInteger(), nullable=False),
        sa.Column(
            "predicted",
            sa.String(length=256),
            nullable=True,
            comment="the label of the largest output; null where there are no classes",
        ),
        sa.Column("confidence", sa.Float(), nullable=True, comment="that output"),
        sa.Column(
            "outputs", sa.JSON(), nullable=True, comment="by name, each a list; null when the row was not sampled"
        ),
        sa.Column(
            "features",
            sa.JSON(),
            nullable=True,
            comment="the drift features, by name; null when the row was not sampled",
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_predictions")),
        sa.UniqueConstraint("id", "arm", name=op.f("uq_predictions_id")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_predictions_at_us", "predictions", ["at_us"], unique=False)
    op.create_index("ix_predictions_model_at", "predictions", ["model", "at_us"], unique=False)
    op.create_index("ix_predictions_model_seq", "predictions", ["model", "seq"], unique=False)
    op.create_table(
        "retention",
        sa.Column("records", sa.String(length=32), nullable=False, comment="the class of data"),
        sa.Column("cutoff_us", sa.BigInteger(), nullable=False, comment="what is older was deleted"),
        sa.PrimaryKeyConstraint("records", name=op.f("pk_retention")),
    )
    op.create_table(
        "rollouts",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("model", sa.String(length=128), nullable=False),
        sa.Column("candidate", sa.BigInteger(), nullable=False),
        sa.Column("baseline", sa.BigInteger(), nullable=False),
        sa.Column("plan", sa.JSON(), nullable=False),
        sa.Column("state", sa.JSON(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column(
            "position", sa.BigInteger(), nullable=False, comment="the last row of predictions that is in the evidence"
        ),
        sa.Column(
            "label_position", sa.BigInteger(), nullable=False, comment="the last row of labels that is in the evidence"
        ),
        sa.Column(
            "turn",
            sa.BigInteger(),
            nullable=False,
            comment="grows with each change, so that no two overwrite each other",
        ),
        sa.Column("status", sa.String(length=16), nullable=False, comment="running, promoted, rolled_back or aborted"),
        sa.Column("who", sa.String(length=128), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("started_us", sa.BigInteger(), nullable=False),
        sa.Column("ended_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rollouts")),
    )
    op.create_index(
        "uq_rollouts_running",
        "rollouts",
        ["model"],
        unique=True,
        sqlite_where=sa.text("status = 'running'"),
        postgresql_where=sa.text("status = 'running'"),
    )
    op.create_table(
        "spools",
        sa.Column("spool", sa.String(length=128), nullable=False),
        sa.Column("file", sa.BigInteger(), nullable=False, comment="the number of the file that is shipped next"),
        sa.Column("position", sa.BigInteger(), nullable=False, comment="bytes of it that are in the database"),
        sa.Column(
            "dropped", sa.BigInteger(), nullable=False, comment="files that were given up before they were shipped"
        ),
        sa.Column("dead", sa.BigInteger(), nullable=False, comment="rows that ended in dead_letters"),
        sa.Column("shipped_us", sa.BigInteger(), nullable=False, comment="the time of the newest row"),
        sa.PrimaryKeyConstraint("spool", name=op.f("pk_spools")),
    )
    op.create_table(
        "tallies",
        sa.Column(
            "spool",
            sa.String(length=128),
            nullable=False,
            comment="each spool counts by itself, so that no two write one row",
        ),
        sa.Column("minute", sa.BigInteger(), autoincrement=False, nullable=False, comment="minutes since 1970"),
        sa.Column("model", sa.String(length=128), nullable=False),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("arm", sa.String(length=16), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("errors", sa.BigInteger(), nullable=False),
        sa.Column(
            "latency",
            sa.JSON(),
            nullable=False,
            comment="how many fell under each bound of monitoring.tally.BOUNDS_S, and over",
        ),
        sa.PrimaryKeyConstraint("spool", "minute", "model", "version", "arm", name=op.f("pk_tallies")),
    )
    op.create_table(
        "watches",
        sa.Column("model", sa.String(length=128), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False, comment="the stable one that is watched"),
        sa.Column("position", sa.BigInteger(), nullable=False, comment="the last row of predictions that was judged"),
        sa.Column("label_position", sa.BigInteger(), nullable=False, comment="the last row of labels that was judged"),
        sa.Column("state", sa.JSON(), nullable=False, comment="what the windows and the labels so far have said"),
        sa.PrimaryKeyConstraint("model", name=op.f("pk_watches")),
    )
