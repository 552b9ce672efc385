"""The tables come to be once, whoever makes them, and a database from the future is left alone."""

from __future__ import annotations

import contextlib
import subprocess
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect, text

from fairlead.database.engine import migrate, open_engine, reading
from fairlead.database.schema import metadata, predictions
from fairlead.errors import Code, FairleadError

MIGRATE = (
    "import sys; from fairlead.database.engine import migrate, open_engine\n"
    "print('ready', flush=True); sys.stdin.readline(); migrate(open_engine(sys.argv[1]))"
)


def test_the_migrations_make_the_tables_of_the_schema(engine: Engine) -> None:
    """Nothing differs between what the migrations made and what the code believes is there."""
    with reading(engine) as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_migrating_again_changes_nothing(engine: Engine) -> None:
    """A second migration finds nothing to do."""
    migrate(engine)

    assert set(inspect(engine).get_table_names()) == {*metadata.tables, "alembic_version"}


def test_several_processes_migrate_at_once(empty_url: str) -> None:
    """Of eight processes that migrate the same empty database at the same moment none fails, and all is there."""
    command = [sys.executable, "-c", MIGRATE, empty_url]
    pipe = subprocess.PIPE
    with contextlib.ExitStack() as stack:
        started = (subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) for _ in range(8))
        processes = [stack.enter_context(process) for process in started]
        assert [process.stdout.readline() for process in processes if process.stdout] == [b"ready\n"] * 8
        for process in processes:
            assert process.stdin
            process.stdin.write(b"\n")
            process.stdin.flush()
        failures = [process.communicate(timeout=120)[1].decode() for process in processes]

    assert failures == [""] * 8
    assert [process.returncode for process in processes] == [0] * 8
    engine = open_engine(empty_url)
    with reading(engine) as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        assert connection.execute(text("SELECT count(*) FROM alembic_version")).scalar() == 1
    engine.dispose()


def test_a_newer_schema_is_refused(empty_url: str) -> None:
    """A database whose revision this Fairlead does not know is not touched."""
    engine = open_engine(empty_url)
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(FairleadError, match="newer Fairlead: its revision is 9999") as refusal:
        migrate(engine)

    assert refusal.value.code is Code.FAILED_PRECONDITION
    with reading(engine) as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == "9999"
    engine.dispose()


def test_the_number_of_a_deleted_row_is_not_given_out_again(engine: Engine) -> None:
    """A reader that goes on after the last number it saw misses no row, even when all rows were deleted."""
    row = {"id": "a", "at_us": 1, "model": "m", "version": 1, "arm": "stable", "latency_us": 1}
    with engine.begin() as connection:
        connection.execute(predictions.insert(), [row, {**row, "id": "b"}])
        connection.execute(predictions.delete())
        connection.execute(predictions.insert(), row)

        assert connection.execute(predictions.select()).one().seq == 3
