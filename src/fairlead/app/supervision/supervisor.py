"""Keeps as many workers as were asked for, replaces them, and lets them leave without failing a request."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import time
from collections.abc import Callable, Mapping

from fairlead.app.metrics import ServiceMetrics
from fairlead.app.supervision.control import Assignment
from fairlead.app.supervision.policy import Action, Do, next_action
from fairlead.app.supervision.process import WorkerProcess
from fairlead.app.supervision.seat import Seat
from fairlead.app.supervision.state import WorkerState
from fairlead.config import Settings
from fairlead.errors import Code, FairleadError
from fairlead.metering.ledger import Ledger
from fairlead.monitoring.spool_home import Claim
from fairlead.serving.status import Readiness
from fairlead.telemetry.region import Memory
from fairlead.transport.listener import stop_arrivals

__all__ = ["Supervisor"]

_TICK_S = 1.0
_WELL_AFTER_S = 10.0
_DEATHS_AT_START = 3
_log = logging.getLogger(__name__)


class Supervisor:
    """Runs the workers of one service, over sockets that it owns for as long as it lives.

    Args:
        settings: how many workers, and what they are told.
        sockets: listening sockets by protocol. Workers inherit them; they are closed when the service ends.
        memory: where all processes count; the first region is the parent's, and the workers share the others out.
        metrics: over that memory; told of deaths, and how many workers are ready.
        ledger: what callers have used, which the workers share.
        on_ready: told once, when a worker that takes connections answers for every model.
        spools: where workers write down what they answer; None when nothing is logged.
        console_key: see `Assignment`.
    """

    def __init__(
        self,
        settings: Settings,
        sockets: Mapping[str, socket.socket],
        *,
        memory: Memory,
        metrics: ServiceMetrics,
        ledger: Ledger,
        on_ready: Callable[[Readiness], None],
        spools: Claim | None = None,
        console_key: str = "",
    ) -> None:
        self._spools = spools
        self._console_key = console_key
        self._ledger = ledger
        self._settings = settings
        self._sockets = sockets
        self._memory = memory
        self._metrics = metrics
        self._on_ready = on_ready
        self._seats = [Seat(number) for number in range(settings.worker_count)]
        self._workers: list[WorkerProcess] = []
        self._started = 0
        self._generation = 0
        self._was_up = self._was_started = self._was_ready = False
        self._error: FairleadError | None = None
        self._leaving: asyncio.Task[None] | None = None
        self._is_over = asyncio.Event()

    async def run(self) -> None:
        """Keep the workers until `stop` has ended the last.

        Raises:
            FairleadError: when no worker ever came up: what it said, or that they die.
        """
        ticking = asyncio.create_task(self._tick())
        try:
            self._act()
            await self._is_over.wait()
        finally:
            ticking.cancel()
            for sock in self._sockets.values():
                sock.close()
        if self._error:
            raise self._error

    def replace(self) -> None:
        """Replace every worker, one at a time, each by one that answers before the old one leaves."""
        self._generation += 1
        self._act()

    def stop(self) -> None:
        """Let all workers drain, and `run` return; called again, end them at once."""
        if self._leaving is None:
            self._leaving = asyncio.create_task(self._leave())
        else:
            self._leaving.cancel()
            self._kill()
        self._act()

    @property
    def is_leaving(self) -> bool:
        """Whether `stop` was called."""
        return self._leaving is not None

    def states(self) -> list[WorkerState]:
        """How each worker is, and each that is waited for, by their places."""
        states = [worker.state() for worker in self._workers]
        if not self.is_leaving:
            taken = {worker.seat for worker in self._workers if not worker.is_leaving}
            states += [seat.state() for seat in self._seats if seat.number not in taken]
        return sorted(states, key=lambda state: (state.worker, state.since))

    async def _leave(self) -> None:
        for worker in self._workers:
            worker.withdraw()
        await asyncio.sleep(self._settings.drain_delay_s)
        await stop_arrivals(list(self._sockets.values()))
        for worker in self._workers:
            worker.drain()
        for sock in self._sockets.values():
            sock.close()  # clients find the port closed as soon as the last worker has stopped accepting

    def _kill(self) -> None:
        for worker in self._workers:
            worker.kill()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            for worker in self._workers:
                worker.tick()
            self._act()

    # -- what to do next -------------------------------------------------------------------------------------------

    def _act(self) -> None:
        if self._error or self._leaving:
            if not self._workers:
                self._is_over.set()
            return
        while action := self._next_action():
            self._do(action)

    def _next_action(self) -> Action | None:
        if not self._free_regions():
            return None
        return next_action(
            [worker.view(self._generation) for worker in self._workers],
            {seat.number for seat in self._seats if seat.is_due},
            was_started=self._was_started,
        )

    def _free_regions(self) -> set[int]:
        return set(range(1, 1 + 2 * len(self._seats))) - {worker.region for worker in self._workers}

    def _do(self, action: Action) -> None:
        if action.do is Do.START:
            self._start(self._seats[action.seat])
            return
        worker = next(worker for worker in self._workers if worker.number == action.worker)
        if action.do is Do.ACCEPT:
            worker.accept()
        else:
            _log.info("%s is replaced and drains", worker)
            worker.drain()

    def _start(self, seat: Seat) -> None:
        try:
            worker = WorkerProcess(
                self._started,
                seat.number,
                self._generation,
                Assignment(
                    settings=self._settings,
                    sockets={name: sock.fileno() for name, sock in self._sockets.items()},
                    memory=self._memory.descriptor,
                    regions=len(self._memory.pieces),
                    region=min(self._free_regions()),
                    spools=str(self._spools.directory.absolute()) if self._spools else None,
                    lock=self._spools.lock if self._spools else None,
                    console_key=self._console_key,
                    ledger=self._ledger.descriptor,
                ),
                restarts=seat.starts,
                drain_timeout_s=self._settings.drain_timeout_s,
                on_change=self._changed,
            )
        except OSError as error:  # no memory, or no more processes
            self._vacate(seat, f"no worker can be started: {error}", was_well=False)
        else:
            self._started += 1
            seat.starts += 1
            self._workers.append(worker)

    # -- what workers say, and how they end ------------------------------------------------------------------------

    def _changed(self, worker: WorkerProcess) -> None:
        if worker.status is not None:
            self._workers.remove(worker)
            self._metrics.instruments.abandon(worker.region)
            self._bury(worker)
        elif worker.report:
            self._was_up = True
            self._was_started |= worker.report.readiness.is_started
        self._act()
        self._retire_series()
        self._metrics.workers.ready.set(sum(worker.is_accepting and worker.is_ready for worker in self._workers))
        if not self._was_ready and worker.is_accepting and worker.report and worker.report.readiness.is_ready:
            self._was_ready = True
            self._on_ready(worker.report.readiness)

    def _retire_series(self) -> None:
        """Forget, where nobody counts any more, what was counted for versions that no worker wants any more."""
        reports = [worker.report for worker in self._workers if worker.report]
        if any(report.readiness.is_started for report in reports):
            wanted = {(model, str(number)) for report in reports for model, number in report.versions}
            self._metrics.instruments.sweep(self._free_regions(), lambda model, version: (model, version) in wanted)

    def _bury(self, worker: WorkerProcess) -> None:
        if self._error or self._leaving or worker.is_leaving:
            _log.info("%s has left: %s", worker, _ending(worker))
        elif worker.failure and not self._was_up:
            self._give_up(worker.failure.error)
        elif self._is_replacement(worker):
            _log.error("%s was to replace another: %s; the old ones go on", worker, _ending(worker))
            for other in self._workers:
                other.generation = self._generation
        else:
            self._metrics.workers.died(_cause(worker))
            was_well = time.monotonic() - worker.started_at > _WELL_AFTER_S
            self._vacate(self._seats[worker.seat], f"{worker}: {_ending(worker)}", was_well=was_well)

    def _is_replacement(self, worker: WorkerProcess) -> bool:
        """Whether it shared its seat with the one that it was to follow."""
        return any(other.seat == worker.seat and other.number < worker.number for other in self._workers)

    def _vacate(self, seat: Seat, why: str, *, was_well: bool) -> None:
        """Let the seat be filled again after a while, unless that never was of use."""
        delay = seat.vacate(why, was_well=was_well)
        if seat.deaths >= _DEATHS_AT_START and not self._was_up:
            message = f"no worker comes up; after {seat.deaths} tries {why}"
            self._give_up(FairleadError(Code.UNAVAILABLE, message, hint="the log above may say more"))
            return
        _log.error("%s; another is started %s", why, f"in {delay:g} s" if delay else "at once")
        asyncio.get_running_loop().call_later(delay, self._act)

    def _give_up(self, error: FairleadError) -> None:
        self._error = error
        self._kill()


def _cause(worker: WorkerProcess) -> str:
    """How it ended, in one of few words."""
    if worker.failure:
        return worker.failure.error.code.value
    if worker.status is not None and worker.status < 0:
        return signal.Signals(-worker.status).name
    return f"exit {worker.status}"


def _ending(worker: WorkerProcess) -> str:
    if worker.failure:
        return str(worker.failure.error)
    if worker.status is not None and worker.status < 0:
        return f"ended by {signal.Signals(-worker.status).name}"
    return f"exit status {worker.status}"
