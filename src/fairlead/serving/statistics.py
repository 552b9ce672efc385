"""What each version has done in this process, in the figures of the Open Inference Protocol's statistics."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import compress

from fairlead.servable.identity import ServableId

__all__ = ["Duration", "Statistics", "VersionStatistics"]

_NS = 1_000_000_000


@dataclass(slots=True)
class Duration:
    """How often something was done, and the nanoseconds that all of it took."""

    count: int = 0
    ns: int = 0

    def add(self, count: int, seconds: float) -> None:
        """Note `count` more, which took `seconds` together."""
        self.count += count
        self.ns += int(seconds * _NS)


@dataclass(slots=True, kw_only=True)
class VersionStatistics:
    """The figures of one version, in this process.

    Attributes:
        rows: rows of the requests that were answered.
        runs: batches.
        last_ms: when the last batch ended, in milliseconds since 1970; 0 before the first.
        success, fail: requests by how they ended; the time is from their arrival to the end of their batch.
        queue: the wait of each request that was answered for its batch.
        compute: the run of its batch, once for each request that was answered.
        batches: the runs, by the rows that ran together.
    """

    rows: int = 0
    runs: int = 0
    last_ms: int = 0
    success: Duration = field(default_factory=Duration)
    fail: Duration = field(default_factory=Duration)
    queue: Duration = field(default_factory=Duration)
    compute: Duration = field(default_factory=Duration)
    batches: dict[int, Duration] = field(default_factory=dict)

    def batch(self, rows: int, compute_s: float) -> None:
        """Note a run of so many rows."""
        self.runs += 1
        duration = self.batches.get(rows)
        if duration is None:
            duration = self.batches[rows] = Duration()
        duration.add(1, compute_s)

    def answered(self, rows: int, waited_s: Sequence[float], compute_s: float) -> None:
        """Note requests that were answered in one run."""
        count, waited = len(waited_s), sum(waited_s)
        self.rows += rows
        self.queue.add(count, waited)
        self.compute.add(count, count * compute_s)
        self.success.add(count, waited + count * compute_s)


class Statistics:
    """Counts for every version that ever ran. Not safe in threads: it lives in the event loop.

    Args:
        clock_s: seconds since 1970.
    """

    def __init__(self, clock_s: Callable[[], float] = time.time) -> None:
        self._clock_s = clock_s
        self._versions: dict[ServableId, VersionStatistics] = {}

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
        version = self._versions.get(id_)
        if version is None:
            version = self._versions[id_] = VersionStatistics()
        version.batch(sum(rows), compute_s)
        version.last_ms = int(self._clock_s() * 1000)
        if any(failed):
            lost_s = list(compress(waited_s, failed))
            version.fail.add(len(lost_s), sum(lost_s) + len(lost_s) * compute_s)
            kept = [not one for one in failed]
            rows, waited_s = list(compress(rows, kept)), list(compress(waited_s, kept))
        version.answered(sum(rows), waited_s, compute_s)

    def of(self, id_: ServableId) -> VersionStatistics:
        """The figures so far; all zero for a version that has run nothing."""
        return self._versions.get(id_) or VersionStatistics()
