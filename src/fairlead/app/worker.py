"""The program of a worker process: it serves what its parent assigns, and leaves when told to or left alone."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import uvloop

from fairlead.app.data_plane import DataPlane, Recording
from fairlead.app.log_files import open_log_files
from fairlead.app.metering import open_meter
from fairlead.app.metrics import ServiceMetrics
from fairlead.app.recorder_line import RecorderClient
from fairlead.app.supervision.control import Assignment, Failure, Order, Report
from fairlead.errors import FairleadError
from fairlead.metering.ledger import Ledger
from fairlead.telemetry.logs import configure_logging
from fairlead.telemetry.region import Memory
from fairlead.telemetry.standard_error import keep_standard_error
from fairlead.transport.listener import stop_arrivals

__all__ = ["main"]

_FIRST_POLL_S = 0.02
_POLL_S = 0.25
_REPORT_S = 5.0
_MAX_LINE_BYTES = 2**20
_GC_ALLOCATIONS = 50_000
_SWITCH_S = 0.0005
_log = logging.getLogger(__name__)


class Worker:
    """One data plane under the orders of a parent.

    Args:
        assignment: what to serve.
        orders: where more is said; its end means that the parent is gone.
        reports: where the parent hears how it goes.
    """

    def __init__(self, assignment: Assignment, orders: asyncio.StreamReader, reports: asyncio.StreamWriter) -> None:
        self._settings = assignment.settings
        self._sockets = {name: socket.socket(fileno=fd) for name, fd in assignment.sockets.items()}
        memory = Memory(assignment.memory, assignment.regions)
        self._metrics = ServiceMetrics(memory.pieces, assignment.region)
        open_log_files(assignment.settings, self._metrics.app_log.failures.inc)
        self._recording = _recording(assignment)
        self._console_key = assignment.console_key
        self._meter = open_meter(assignment.settings, Ledger(assignment.ledger))
        self._orders = orders
        self._reports = reports
        self._may_begin = asyncio.Event()
        self._is_accepting = self._is_leaving = False

    async def run(self) -> None:
        """Serve until a drain has ended.

        Raises:
            FairleadError: when nothing can be served; the parent has been told.
        """
        async with AsyncExitStack() as lifetimes:
            try:
                self._plane = DataPlane(
                    self._settings,
                    self._sockets,
                    self._metrics,
                    self._recording,
                    lifetimes,
                    console_key=self._console_key,
                    meter=self._meter,
                )
            except FairleadError as error:
                self._reports.write(Failure(error).line())
                await self._reports.drain()
                raise
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._on_signal)
            async with asyncio.TaskGroup() as tasks:
                beside = [tasks.create_task(self._obey()), tasks.create_task(self._report())]
                await self._may_begin.wait()
                if not self._is_leaving:
                    self._is_accepting = True
                    await self._plane.serve()
                for task in beside:
                    task.cancel()

    async def _obey(self) -> None:
        async for line in self._orders:
            match Order.parse(line):
                case Order.ACCEPT:
                    self._may_begin.set()
                case Order.WITHDRAW:
                    self._plane.withdraw()
                case Order.DRAIN:
                    self._leave()
        if not self._is_leaving:
            _log.error("the parent process is gone: this worker drains")
            self._plane.withdraw()
            await stop_arrivals(list(self._sockets.values()))
            self._leave()

    def _leave(self) -> None:
        if not self._is_leaving:
            self._is_leaving = True
            self._may_begin.set()
            if self._is_accepting:
                self._plane.drain()

    def _on_signal(self) -> None:
        """SIGTERM for this process alone: leave, and at the second at once. The parent learns of it and replaces it."""
        if self._is_leaving and self._is_accepting:
            self._plane.drain()
        self._leave()

    async def _report(self) -> None:
        """Tell the parent what changed, and now and then that nothing did."""
        last, silent_s = None, 0.0
        while True:
            self._plane.show_waiting()
            report = Report(
                readiness=self._plane.readiness(), versions=self._plane.versions(), is_leaving=self._is_leaving
            )
            is_heard = self._reports.transport.get_write_buffer_size() == 0  # a stopped parent reads nothing
            if is_heard and (report != last or silent_s >= _REPORT_S):
                self._reports.write(report.line())
                self._retire_series(report)
                last, silent_s = report, 0.0
            poll_s = _POLL_S if report.readiness.is_started else _FIRST_POLL_S
            await asyncio.sleep(poll_s)  # the manager is no part of the event loop: it is looked at
            silent_s += poll_s

    def _retire_series(self, report: Report) -> None:
        """Forget what was counted for versions that are gone, also by the process that counted here before."""
        if report.readiness.is_started:
            wanted = {(model, str(number)) for model, number in report.versions}
            self._metrics.instruments.retain(lambda model, version: (model, version) in wanted)


def _recording(assignment: Assignment) -> Recording | None:
    if assignment.spools is None:
        return None
    directory = Path(assignment.spools)
    return Recording(spool=directory / str(assignment.region), feedback=RecorderClient(directory))


def main() -> int:
    """Serve; the argument is the number of the file descriptor that leads to the parent. The exit status."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # for the parent to act on
    _tune_interpreter()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_main(socket.socket(fileno=int(sys.argv[1]))))


async def _main(line: socket.socket) -> int:
    orders, reports = await asyncio.open_unix_connection(sock=line, limit=_MAX_LINE_BYTES)
    first = await orders.readline()
    if not first:
        return 0
    assignment = Assignment.parse(first)
    configure_logging(keep_standard_error(), assignment.settings.log_format)
    try:
        await Worker(assignment, orders, reports).run()
    except FairleadError:  # told to the parent, who says it
        return 1
    return 0


def _tune_interpreter() -> None:
    """Set Python up for one purpose: many short requests beside threads that run models.

    A JSON body that is read the careful way makes hundreds of lists that die with the request, and reference counts
    free them: the collector would run many times a second for nothing (a quarter of the time when all bodies were read
    so). And a model's thread that waits to report its answer would get its turn after 5 ms, fifty times as long as the
    model took.
    """
    gc.freeze()
    gc.set_threshold(_GC_ALLOCATIONS, 20, 20)
    sys.setswitchinterval(_SWITCH_S)


if __name__ == "__main__":
    sys.exit(main())
