"""Whatever is killed, cut or crashed, each row and each count is in the database exactly once."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine
from tests.cli.clients import wait_until
from tests.database.cutting import Way, cutter
from tests.database.postgres import PostgresServer, postgres_server

from fairlead.database.engine import open_engine
from fairlead.errors import Code, FairleadError
from fairlead.monitoring.feedback import Feedback, Outcome
from fairlead.monitoring.label import Label
from fairlead.monitoring.prediction_log import PredictionLog

from .conftest import NOW_US, at, prediction_id
from .shipping import PIECE, ship_piece

ROOT = Path(__file__).parents[2]
CUTS_EACH_WAY = 100

SHIP = """
import sys
from fairlead.database.engine import open_engine
from fairlead.monitoring.prediction_log import PredictionLog
from tests.monitoring.shipping import ship_piece
log = PredictionLog(open_engine(sys.argv[1]))
while (piece := log.position("w").position) < int(sys.argv[2]):
    ship_piece(log, piece)
    print(piece, flush=True)
"""


def check(log: PredictionLog, pieces: int) -> None:
    """All rows of all pieces are there in their order, once, and so are their counts."""
    rows = log.after("digits", 0, limit=1_000_000)
    assert [logged.row.id for logged in rows] == [prediction_id(number) for number in range(pieces * PIECE)]
    assert [count.rows for count in log.counts("digits", since_us=0, until_us=2 * NOW_US)] == [pieces * PIECE]
    (state,) = log.spools()
    assert (state.position, state.dropped) == (at(0, pieces), pieces)


def test_a_shipper_that_is_killed_at_any_moment(engine: Engine) -> None:
    """After twelve kills at drawn moments, and a last shipper that is left alone, everything is there once."""
    moments = random.Random(7)
    pieces = 400
    command = [sys.executable, "-c", SHIP, engine.url.render_as_string(hide_password=False), str(pieces)]
    for _ in range(12):
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            for _ in range(moments.randrange(1, 12)):
                process.stdout.readline()
            time.sleep(moments.uniform(0, 0.01))
            process.send_signal(signal.SIGKILL)
    log = PredictionLog(engine)
    assert 12 <= log.position("w").position < pieces

    subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=True, timeout=120)

    check(log, pieces)


@pytest.mark.parametrize("way", Way)
def test_a_line_that_is_cut_after_any_number_of_bytes(server: PostgresServer, tmp_path: Path, way: Way) -> None:
    """Wherever in a shipment the line is cut, before, in or after the commit, going on from `position` is right."""
    with cutter(server.socket, tmp_path) as line:
        engine = open_engine(server.url(server.database(), tmp_path))
        log = PredictionLog(engine)
        ship_piece(log, 0)
        line.cut()
        log.position("w")  # connects again, as before each of the cuts
        before = line.passed[way]
        ship_piece(log, 1)
        length = line.passed[way] - before
        piece = 2
        arrived = 0
        for cut in range(CUTS_EACH_WAY):
            line.cut_after(way, cut * length // (CUTS_EACH_WAY - 5))  # the last ones come after everything
            try:
                ship_piece(log, piece)
            except FairleadError as error:
                assert error.code is Code.UNAVAILABLE, error  # noqa: PT017 - the last cuts may come after the answer
            line.never_mind()
            position = log.position("w").position
            assert position in (piece, piece + 1)
            arrived += position == piece + 1
            piece = position
        check(log, piece)
        engine.dispose()

    assert line.cuts > 0.9 * CUTS_EACH_WAY
    assert 0 < arrived < CUTS_EACH_WAY


def test_a_label_whose_acknowledgement_was_cut_may_be_said_again(server: PostgresServer, tmp_path: Path) -> None:
    """A label that was acknowledged is there; one that was not is there once after it was said again."""
    with cutter(server.socket, tmp_path) as line:
        engine = open_engine(server.url(server.database(), tmp_path))
        feedback = Feedback(engine, now_us=lambda: NOW_US, classes_of=lambda _m, _v: None, horizon_us=2**60)

        def give(number: int) -> Outcome:
            return feedback.give([Label(prediction_id=prediction_id(number), label="7")], source="people")[0].outcome

        give(1_000)
        before = line.passed[Way.TO_CLIENT]
        give(1_001)
        length = line.passed[Way.TO_CLIENT] - before
        unsaid = []
        cuts = range(0, length, length // CUTS_EACH_WAY)
        for number in cuts:
            line.cut_after(Way.TO_CLIENT, number)
            try:
                give(number)
            except FairleadError:
                unsaid.append(number)
            line.never_mind()
            feedback.history(prediction_id(1_000))  # connects again, so that the next cut falls into the giving
        again = [give(number) for number in unsaid]
        histories = [feedback.history(prediction_id(number)) for number in cuts]
        engine.dispose()

    assert len(unsaid) > len(cuts) // 2
    assert set(again) == {Outcome.WAITING, Outcome.REPEATED}
    assert [len(history) for history in histories] == [1] * len(cuts)


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A server that may crash."""
    with postgres_server() as server:
        yield server


def test_a_server_that_crashes_while_it_is_written_to(own_server: PostgresServer) -> None:
    """Three crashes of the server and a freeze lose nothing and double nothing, and the shipper goes on by itself."""
    engine = open_engine(own_server.url(own_server.database()), timeout_s=1.0)
    log = PredictionLog(engine)
    failures: list[Code] = []
    is_over = threading.Event()
    moments = random.Random(11)

    def run() -> None:
        while not is_over.is_set():
            try:
                ship_piece(log, log.position("w").position)
            except FairleadError as error:
                failures.append(error.code)
                is_over.wait(0.02)

    shipper = threading.Thread(target=run)
    shipper.start()
    for _ in range(3):
        time.sleep(moments.uniform(0.1, 0.4))
        own_server.stop(signal.SIGQUIT)
        own_server.start()
    with own_server.frozen():
        failed = len(failures)
        wait_until(lambda: len(failures) > failed)
    patient_engine = open_engine(engine.url.render_as_string())
    patient = PredictionLog(patient_engine)
    before = patient.position("w")
    wait_until(lambda: patient.position("w") > before)
    is_over.set()
    shipper.join(60)

    assert set(failures) == {Code.UNAVAILABLE}
    check(patient, patient.position("w").position)
    engine.dispose()
    patient_engine.dispose()
