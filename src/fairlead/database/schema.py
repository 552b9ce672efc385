"""The tables. Times are whole microseconds since 1970 in UTC, so that they sort and differ by a second nowhere."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

__all__ = [
    "dead_letters",
    "journal",
    "labels",
    "leases",
    "metadata",
    "passes",
    "payloads",
    "predictions",
    "retention",
    "rollouts",
    "spools",
    "tallies",
    "watches",
]

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_Long = BigInteger().with_variant(Integer(), "sqlite")  # SQLite numbers rows by itself only where the type is INTEGER
_Json = JSON(none_as_null=True)

predictions = Table(
    "predictions",
    metadata,
    Column("seq", _Long, primary_key=True, autoincrement=True, comment="the order in which rows were shipped"),
    Column("id", String(48), nullable=False, comment="a UUID, and .ROW where a request had several rows"),
    Column("at_us", BigInteger, nullable=False, comment="when it was asked for"),
    Column("model", String(128), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column(
        "arm", String(16), nullable=False, comment="stable, candidate or shadow; empty when a version was asked for"
    ),
    Column("error", String(32), nullable=False, server_default="", comment="a canonical code; empty for none"),
    Column("latency_us", BigInteger, nullable=False),
    Column("predicted", String(256), comment="the label of the largest output; null where there are no classes"),
    Column("confidence", Float, comment="that output"),
    Column("outputs", _Json, comment="by name, each a list; null when the row was not sampled"),
    Column("features", _Json, comment="the drift features, by name; null when the row was not sampled"),
    UniqueConstraint("id", "arm"),
    Index("ix_predictions_model_seq", "model", "seq"),
    Index("ix_predictions_model_at", "model", "at_us"),
    Index("ix_predictions_at_us", "at_us"),
    sqlite_autoincrement=True,  # else the numbers of deleted rows are given out again, below what a reader has seen
)

payloads = Table(
    "payloads",
    metadata,
    Column("prediction_id", String(48), primary_key=True),
    Column("at_us", BigInteger, nullable=False, index=True),
    Column("model", String(128), nullable=False),
    Column("inputs", LargeBinary, nullable=False, comment="an .npz of the row's input tensors"),
)

labels = Table(
    "labels",
    metadata,
    Column("seq", _Long, primary_key=True, autoincrement=True, comment="the order in which labels came"),
    Column("prediction_id", String(48), nullable=False),
    Column("label", String(256), nullable=False),
    Column("at_us", BigInteger, nullable=False, index=True, comment="when it was taken in"),
    Column("source", String(64), nullable=False, comment="who said so"),
    Column("is_current", Boolean, nullable=False, comment="false once a correction came"),
    Index("ix_labels_prediction_id", "prediction_id"),
    # Two labels at once for one prediction: one of them must lose.
    Index(
        "uq_labels_current",
        "prediction_id",
        unique=True,
        sqlite_where=text("is_current"),
        postgresql_where=text("is_current"),
    ),
    sqlite_autoincrement=True,
)

tallies = Table(
    "tallies",
    metadata,
    Column("spool", String(128), primary_key=True, comment="each spool counts by itself, so that no two write one row"),
    Column("minute", BigInteger, primary_key=True, autoincrement=False, comment="minutes since 1970"),
    Column("model", String(128), primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("arm", String(16), primary_key=True),
    Column("rows", BigInteger, nullable=False),
    Column("errors", BigInteger, nullable=False),
    Column(
        "latency", JSON, nullable=False, comment="how many fell under each bound of monitoring.tally.BOUNDS_S, and over"
    ),
)

spools = Table(
    "spools",
    metadata,
    Column("spool", String(128), primary_key=True),
    Column("file", BigInteger, nullable=False, comment="the number of the file that is shipped next"),
    Column("position", BigInteger, nullable=False, comment="bytes of it that are in the database"),
    Column("dropped", BigInteger, nullable=False, comment="files that were given up before they were shipped"),
    Column("dead", BigInteger, nullable=False, comment="rows that ended in dead_letters"),
    Column("shipped_us", BigInteger, nullable=False, comment="the time of the newest row"),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("seq", _Long, primary_key=True, autoincrement=True),
    Column("spool", String(128), nullable=False),
    Column("at_us", BigInteger, nullable=False, index=True, comment="the time that the row claims"),
    Column("reason", Text, nullable=False),
    Column("row", Text, nullable=False, comment="its repr in ASCII, without the inputs, cut where it is long"),
)

retention = Table(
    "retention",
    metadata,
    Column("records", String(32), primary_key=True, comment="the class of data"),
    Column("cutoff_us", BigInteger, nullable=False, comment="what is older was deleted"),
)

rollouts = Table(
    "rollouts",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("model", String(128), nullable=False),
    Column("candidate", BigInteger, nullable=False),
    Column("baseline", BigInteger, nullable=False),
    Column("plan", JSON, nullable=False),
    Column("state", JSON, nullable=False),
    Column("evidence", JSON, nullable=False),
    Column("position", BigInteger, nullable=False, comment="the last row of predictions that is in the evidence"),
    Column("label_position", BigInteger, nullable=False, comment="the last row of labels that is in the evidence"),
    Column("turn", BigInteger, nullable=False, comment="grows with each change, so that no two overwrite each other"),
    Column("status", String(16), nullable=False, comment="running, promoted, rolled_back or aborted"),
    Column("who", String(128), nullable=False),
    Column("why", Text, nullable=False),
    Column("started_us", BigInteger, nullable=False),
    Column("ended_us", BigInteger),
    Index(
        "uq_rollouts_running",
        "model",
        unique=True,
        sqlite_where=text("status = 'running'"),
        postgresql_where=text("status = 'running'"),
    ),
)

passes = Table(
    "passes",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("model", String(128), nullable=False),
    Column("trigger", String(16), nullable=False, comment="schedule, drift, quality or person"),
    Column("key", String(128), nullable=False, comment="what set it off; the same never sets off two"),
    Column("step", String(16), nullable=False, comment="the last step that was begun"),
    Column(
        "status", String(16), nullable=False, comment="running, published, refused, failed, promoted or rolled_back"
    ),
    Column("config", JSON, nullable=False),
    Column("outcome", JSON, nullable=False),
    Column("version", BigInteger, comment="what was published"),
    Column("started_us", BigInteger, nullable=False),
    Column("ended_us", BigInteger),
    UniqueConstraint("model", "key"),
)

watches = Table(
    "watches",
    metadata,
    Column("model", String(128), primary_key=True),
    Column("version", BigInteger, nullable=False, comment="the stable one that is watched"),
    Column("position", BigInteger, nullable=False, comment="the last row of predictions that was judged"),
    Column("label_position", BigInteger, nullable=False, comment="the last row of labels that was judged"),
    Column("state", JSON, nullable=False, comment="what the windows and the labels so far have said"),
)

leases = Table(
    "leases",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("holder", String(128), nullable=False),
    Column("token", BigInteger, nullable=False, comment="grows by one with each holder"),
    Column("expires_us", BigInteger, nullable=False, comment="by the database's clock where it has one"),
)

journal = Table(
    "journal",
    metadata,
    Column("seq", _Long, primary_key=True, autoincrement=True),
    Column("at_us", BigInteger, nullable=False),
    Column("who", String(128), nullable=False),
    Column("action", String(32), nullable=False),
    Column("model", String(128), nullable=False),
    Column("subject", String(128), nullable=False, comment="what it was done to: a version, a rollout, a backup"),
    Column("why", Text, nullable=False),
    Column("evidence", JSON, nullable=False),
    Column("key", String(128), unique=True, comment="names a step that may be tried again but happens once"),
    Index("ix_journal_model_seq", "model", "seq"),
)
