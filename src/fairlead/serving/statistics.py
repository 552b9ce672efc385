"""What each version has done since it was loaded, in the figures of the Open Inference Protocol's statistics."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import compress

from fairlead.servable.identity import ServableId
from fairlead.telemetry.instruments import Counter, Gauge, Histogram, Instruments, Merge, Totals

__all__ = ["Duration", "Statistics", "VersionStatistics"]

_NS = 1_000_000_000
_VERSION = ("model", "version")
_EXACT_ROWS = 256


@dataclass(frozen=True, slots=True)
class Duration:
    """How often something was done, and the nanoseconds that all of it took."""

    count: int = 0
    ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionStatistics:
    """The figures of one version, those of all processes together.

    Attributes:
        rows: rows of the requests that were answered.
        runs: batches.
        last_ms: when the last batch ended, in milliseconds since 1970; 0 before the first.
        success, fail: requests by how they ended; the time is from their arrival to the end of their batch.
        queue: the wait of each request that was answered for its batch.
        compute: the run of its batch, once for each request that was answered.
        batches: the runs, by the rows that ran together; many rows are rounded up, so that there are few entries.
    """

    rows: int = 0
    runs: int = 0
    last_ms: int = 0
    success: Duration = Duration()
    fail: Duration = Duration()
    queue: Duration = Duration()
    compute: Duration = Duration()
    batches: dict[int, Duration] = field(default_factory=dict)


class Statistics:
    """Counts for every version. Used in the event loop.

    Args:
        instruments: where it counts, beside the other processes of the server.
        clock_s: seconds since 1970.
    """

    def __init__(self, instruments: Instruments, clock_s: Callable[[], float] = time.time) -> None:
        self._instruments = instruments
        self._clock_s = clock_s
        self._rows = self._counter("rows")
        self._answered = self._counter("answered")
        self._failed = self._counter("failed")
        self._failed_s = self._counter("failed_seconds")
        self._queue_s = self._counter("queue_seconds")
        self._compute_s = self._counter("compute_seconds")
        self._runs = Histogram(  # with no bounds: how many there were, and the seconds that they took
            instruments, "statistics_runs", "For the statistics.", (*_VERSION, "rows"), bounds=(), is_listed=False
        )
        self._last_ms = Gauge(
            instruments, "statistics_last", "When it last ran.", _VERSION, how=Merge.MAX, is_listed=False
        )

    def ran(
        self,
        id_: ServableId,
        *,
        rows: Sequence[int],
        waited_s: Sequence[float],
        failed: Sequence[bool],
        compute_s: float,
    ) -> None:
        """Note a batch.

        Args:
            id_: the version that ran it.
            rows: how many each of its requests had.
            waited_s: how long each of them waited.
            failed: which of them failed.
            compute_s: how long the batch ran.
        """
        version = (id_.model, str(id_.version))
        self._runs.labels(*version, _size(sum(rows))).observe(compute_s)
        self._last_ms.labels(*version).set(int(self._clock_s() * 1000))
        if any(failed):
            lost_s = list(compress(waited_s, failed))
            self._failed.labels(*version).inc(len(lost_s))
            self._failed_s.labels(*version).inc(sum(lost_s) + len(lost_s) * compute_s)
            kept = [not one for one in failed]
            rows, waited_s = list(compress(rows, kept)), list(compress(waited_s, kept))
        self._rows.labels(*version).inc(sum(rows))
        self._answered.labels(*version).inc(len(waited_s))
        self._queue_s.labels(*version).inc(sum(waited_s))
        self._compute_s.labels(*version).inc(len(waited_s) * compute_s)

    def read(self, ids: Iterable[ServableId]) -> dict[ServableId, VersionStatistics]:
        """The figures so far; all zero for a version that has run nothing."""
        totals = self._instruments.totals()
        return {id_: self._read(id_, totals) for id_ in ids}

    def _read(self, id_: ServableId, totals: Totals) -> VersionStatistics:
        version = id_.model, str(id_.version)

        def total(family: Counter | Gauge) -> float:
            return totals[family.name].get(version, [0.0])[0]

        answered = int(total(self._answered))
        queue_s, compute_s = total(self._queue_s), total(self._compute_s)
        batches = {
            int(labels[2]): _duration(count, seconds)
            for labels, (seconds, count) in totals[self._runs.name].items()
            if labels[:2] == version
        }
        return VersionStatistics(
            rows=int(total(self._rows)),
            runs=sum(run.count for run in batches.values()),
            last_ms=int(total(self._last_ms)),
            success=_duration(answered, queue_s + compute_s),
            fail=_duration(total(self._failed), total(self._failed_s)),
            queue=_duration(answered, queue_s),
            compute=_duration(answered, compute_s),
            batches=batches,
        )

    def _counter(self, what: str, *names: str) -> Counter:
        return Counter(
            self._instruments, f"statistics_{what}", "For the statistics.", (*_VERSION, *names), is_listed=False
        )


def _size(rows: int) -> str:
    """What a run of so many rows is counted under. Clients choose it: a few hundred sizes must do."""
    return str(rows if rows <= _EXACT_ROWS else 1 << (rows - 1).bit_length())


def _duration(count: float, seconds: float) -> Duration:
    return Duration(int(count), round(seconds * _NS))
