"""Spools are shipped in turns, and none holds up another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fairlead.app.spool_shipping import SpoolShipping
from fairlead.database.engine import migrate, open_engine
from fairlead.errors import FairleadError
from fairlead.monitoring.prediction_log import PredictionLog
from fairlead.monitoring.spool import SpoolWriter
from fairlead.monitoring.spool_home import Claim, claim
from fairlead.monitoring.spool_record import Answered, VersionRecord, encode_batch
from fairlead.serving.prediction_id import PredictionIds
from fairlead.telemetry.instruments import Instruments
from fairlead.telemetry.log import LogMetrics

VERSION = VersionRecord(number=1, model="m", version=1, labels=(), features=())
IDS = PredictionIds()


class Machine:
    """A server's spools, a database, and what the metrics say."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "spool"
        self.claim: Claim = claim(self.root)
        self.instruments = Instruments()
        self.path = folder / "log.db"
        self.engine = open_engine(f"sqlite:///{self.path}")
        migrate(self.engine)
        self.log = PredictionLog(self.engine)
        self.shipping = SpoolShipping(
            self.log, self.claim.name, self.claim.directory, self.root, LogMetrics(self.instruments)
        )

    def answer(self, directory: Path) -> str:
        """Write one prediction into a spool; its id."""
        id_ = IDS()
        batch = encode_batch(
            1,
            [Answered(id_, "stable", 1, 1000, "", is_sampled=True)],
            features=None,
            outputs={"y": np.ones((1, 1), np.float32)},
            inputs={},
        )
        writer = SpoolWriter(directory, max_bytes=1 << 30, on_drop=lambda _: pytest.fail("dropped"))
        writer.write(VERSION, batch)
        writer.close()
        return id_

    def logged(self) -> set[str]:
        """The ids in the database."""
        return {one.row.id for one in self.log.newest("m")}

    def total(self, name: str) -> float:
        """What a metric without labels says."""
        return self.instruments.totals()[name][()][0]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with one server."""
    return Machine(tmp_path)


def test_a_spool_that_cannot_be_read_holds_up_no_other(machine: Machine) -> None:
    """What stands in the other spools arrives, and the failure is counted."""
    (machine.claim.directory / "1" / "000000000001.spool").mkdir(parents=True)
    id_ = machine.answer(machine.claim.directory / "2")

    while machine.shipping.step():
        pass

    assert machine.logged() == {id_}
    assert machine.total("fairlead_log_failures") >= 1


def test_the_backlog_is_told_while_the_database_is_away(machine: Machine) -> None:
    """The gauge says how much waits, also when nothing can be shipped."""
    machine.answer(machine.claim.directory / "1")
    machine.engine.dispose()
    machine.path.unlink()
    machine.path.mkdir()

    with pytest.raises(FairleadError):
        machine.shipping.step()

    assert machine.total("fairlead_log_backlog_bytes") > 0


def test_what_a_server_left_is_shipped_and_ours_meanwhile(machine: Machine, tmp_path: Path) -> None:
    """The spools of a server that is gone are shipped too, and the server's own do not wait for their end."""
    gone = claim(machine.root)
    theirs = machine.answer(gone.directory / "1")
    gone.close()
    ours = machine.answer(machine.claim.directory / "1")

    machine.shipping.step_abandoned()

    assert machine.logged() == {theirs, ours}
