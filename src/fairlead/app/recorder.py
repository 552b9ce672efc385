"""The program of the recorder: it ships spools to the database, and takes labels in for the workers.

It is a child of `fairlead serve` and ends with it. Nothing that answers predictions waits for it: while it or the
database is gone, spools grow and labels are refused with "try again".
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from fairlead.app.control import now_us, open_feedback
from fairlead.app.keeper import when_alone
from fairlead.app.log_files import open_log_files
from fairlead.app.oversight import Oversight
from fairlead.app.quality import ArmQuality, read_quality
from fairlead.app.recorder_line import MAX_LINE_BYTES, RecorderAssignment
from fairlead.app.releases import open_store
from fairlead.app.spool_shipping import SpoolShipping
from fairlead.config import Settings
from fairlead.database.engine import migrate, open_engine
from fairlead.errors import Code, FairleadError
from fairlead.monitoring.drift.window import DriftState
from fairlead.monitoring.label import Label
from fairlead.monitoring.prediction_log import PredictionLog
from fairlead.monitoring.shipper import PIECE_BYTES
from fairlead.telemetry.app_log import AppLogMetrics
from fairlead.telemetry.control import ControlMetrics
from fairlead.telemetry.instruments import Instruments
from fairlead.telemetry.log import LogMetrics
from fairlead.telemetry.logs import configure_logging
from fairlead.telemetry.quality import QualityMetrics
from fairlead.telemetry.region import Memory
from fairlead.telemetry.standard_error import keep_standard_error

__all__ = ["Recorder", "main"]

_IDLE_S = 0.2
_SYNC_S = 1.0
_FIRST_RETRY_S, _LAST_RETRY_S = 0.25, 10.0
_FLUSH_S = 10.0
_JUDGE_S = 15.0
_DAY_US = 86_400_000_000
_METRIC_ROWS, _PAGE_ROWS = 20_000, 100_000
_ACCURACY = {"accuracy": "value", "low": "low", "high": "high"}
_log = logging.getLogger(__name__)


class Recorder:
    """Ships the spools of one server, and answers for its workers on a socket.

    Args:
        settings: which database, and where the store is.
        name, directory: of the spools that the server claimed.
        instruments: where it counts, and shows how good the versions are and what the control plane does.
    """

    def __init__(self, settings: Settings, name: str, directory: Path, instruments: Instruments) -> None:
        self._metrics = LogMetrics(instruments)
        self._quality = QualityMetrics(instruments)
        self._engine: Engine = open_engine(settings.database)
        log = PredictionLog(self._engine)
        self._shipping = SpoolShipping(log, name, directory, settings.spool_path, self._metrics)
        self._store = open_store(settings)
        self._feedback = open_feedback(self._engine, self._store)
        self._oversight = Oversight(settings, self._engine, self._store, ControlMetrics(instruments))
        self._is_migrated = False
        self._retry_s = _FIRST_RETRY_S
        self._synced_at = self._judged_at = 0.0
        self._is_leaving = asyncio.Event()

    def leave(self) -> None:
        """Ship what is there, and let `run` return."""
        self._is_leaving.set()

    async def run(self, listener: socket.socket) -> None:
        """Ship and answer until `leave`; then ship what is there. After a kill workers may go on for a little."""
        server = await asyncio.start_unix_server(self._converse, sock=listener, limit=MAX_LINE_BYTES)
        async with server:
            while not self._is_leaving.is_set():
                pause_s = await asyncio.to_thread(self._attempt)
                if pause_s:
                    await _within(self._is_leaving.wait(), pause_s)
        await asyncio.to_thread(self._flush)
        self._engine.dispose()

    # -- shipping, in a thread -------------------------------------------------------------------------------------

    def _attempt(self) -> float:
        """Do what there is to do; the seconds until there is enough to do again.

        Rows are shipped a whole piece at a time, or a few times a second: a transaction for each batch that a worker
        wrote would take three times as much of the processor.
        """
        try:
            self._migrate()
            self._shipping.step_abandoned()
            is_busy = self._shipping.step() and self._shipping.backlog_bytes >= PIECE_BYTES
        except (FairleadError, OSError) as error:
            self._metrics.failures.inc()
            _log.error("predictions wait in the spool: %s", error)
            pause_s, self._retry_s = self._retry_s, min(2 * self._retry_s, _LAST_RETRY_S)
            self._sync()
            return pause_s
        self._retry_s = _FIRST_RETRY_S
        self._sync()
        if time.monotonic() - self._judged_at >= _JUDGE_S:
            self._judge()
        return 0.0 if is_busy else _IDLE_S

    def _flush(self) -> None:
        """Ship what is left, as far as that is possible now."""
        deadline = time.monotonic() + _FLUSH_S
        try:
            self._migrate()
            while time.monotonic() < deadline and self._shipping.step():
                pass
        except (FairleadError, OSError) as error:
            _log.error("what was not shipped waits in the spool: %s", error)

    def _migrate(self) -> None:
        if not self._is_migrated:
            migrate(self._engine)
            self._is_migrated = True

    def _sync(self) -> None:
        if time.monotonic() - self._synced_at >= _SYNC_S:
            self._synced_at = time.monotonic()
            self._shipping.sync()

    # -- judging, in the same thread -------------------------------------------------------------------------------

    def _judge(self) -> None:
        """Show how good every version was in the last day, and what the control plane does."""
        self._judged_at = time.monotonic()
        try:
            known = set(self._oversight.look())
            for model in self._store.models():
                for one in self._read_quality(model, _DAY_US, _METRIC_ROWS):
                    known.add((model, one.report.version))
                    self._show(one)
        except (FairleadError, OSError) as error:
            _log.error("the metrics of quality and control are not brought up to date: %s", error)
            return
        self._quality.retain(frozenset(known))

    def _show(self, one: ArmQuality) -> None:
        report, newest = one.report, one.newest
        figures: dict[str, float] = {}
        if report.accuracy is not None:
            figures |= {name: getattr(report.accuracy, part) for name, part in _ACCURACY.items()}
        if report.coverage is not None:
            figures["coverage"] = report.coverage.value
        if report.delay_median_s is not None:
            figures["delay"] = report.delay_median_s
        if newest.estimate is not None and newest.estimate.is_in_range:
            figures["estimate"] = newest.estimate.value
        self._quality.set(report.model, report.version, report.arm, figures)
        if newest.drift is not None and newest.drift.state is not DriftState.INCONCLUSIVE:
            scores = {feature.feature: feature.psi for feature in newest.drift.features}
            self._quality.set_drift(report.model, report.version, report.arm, scores)

    def _read_quality(self, model: str, since_us: int, limit: int) -> tuple[ArmQuality, ...]:
        until_us = now_us()
        begin_us = until_us - since_us
        return read_quality(
            self._engine, self._store, model, since_us=begin_us, until_us=until_us, window_us=since_us, limit=limit
        )

    # -- answering -------------------------------------------------------------------------------------------------

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await reader.readline()
            if line:
                writer.write(json.dumps(await asyncio.to_thread(self._answer, line)).encode() + b"\n")
                await writer.drain()
        except (OSError, ValueError) as error:  # whoever asked is gone, or said more than is ever said
            _log.debug("a conversation ended: %s", error)
        finally:
            writer.close()

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            return {"answer": self._answer_to(json.loads(line))}
        except FairleadError as error:
            return {"error": {"code": error.code.value, "message": error.message, "hint": error.hint}}
        except Exception:  # noqa: BLE001 - the outermost handler: whoever asked waits
            _log.exception("a question could not be answered")
            return {"error": {"code": Code.INTERNAL.value, "message": "Internal error", "hint": "see the log"}}

    def _answer_to(self, asked: dict[str, Any]) -> list[dict[str, Any]]:
        if not self._is_migrated:
            raise FairleadError(Code.UNAVAILABLE, "the database does not answer yet", hint="try again")
        if "quality" in asked:
            return [one.to_json() for one in self._read_quality(asked["quality"], _DAY_US, _PAGE_ROWS)]
        return self._take_labels(asked)

    def _take_labels(self, asked: dict[str, Any]) -> list[dict[str, Any]]:
        labels = [Label(prediction_id=item[0], label=item[1]) for item in asked["labels"]]
        taken = self._feedback.give(labels, source=asked["source"], model=asked["model"])
        return [{"prediction_id": one.prediction_id, "outcome": one.outcome.value} for one in taken]


async def _within(waiting: Any, seconds: float) -> None:
    try:
        await asyncio.wait_for(waiting, seconds)
    except TimeoutError:
        return


def main() -> int:
    """Record until the line to the parent ends; the argument is the descriptor of that line. The exit status."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # it ends with its parent, after the last worker
    line = socket.socket(fileno=int(sys.argv[1]))
    return asyncio.run(_main(line))


async def _main(line: socket.socket) -> int:
    reader, _writer = await asyncio.open_unix_connection(sock=line, limit=MAX_LINE_BYTES)
    first = await reader.readline()
    if not first:
        return 0
    assignment = RecorderAssignment.parse(first)
    configure_logging(keep_standard_error(), assignment.settings.log_format)
    memory = Memory(assignment.memory, assignment.regions)
    instruments = Instruments(memory.pieces, assignment.region)
    open_log_files(assignment.settings, AppLogMetrics(instruments).failures.inc)
    listener = socket.socket(fileno=assignment.listener)
    try:
        recorder = Recorder(assignment.settings, assignment.name, assignment.directory, instruments)
    except FairleadError as error:
        _log.error("predictions are not shipped: %s", error)
        return 1
    ending = asyncio.create_task(when_alone(reader, recorder.leave))
    await recorder.run(listener)
    ending.cancel()
    return 0


if __name__ == "__main__":
    os.nice(5)  # predictions come first
    sys.exit(main())
