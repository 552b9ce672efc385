"""Counters, gauges and histograms whose values live in shared memory: to count costs a tenth of a microsecond.

Of one name there is a family, of one set of label values a series. A series is counted in by one process, in one thread
at a time; the totals are those of all processes.
"""

from __future__ import annotations

import enum
import json
import os
import threading
import time
from abc import ABC, abstractmethod
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar, Generic, NamedTuple, TypeVar

from fairlead.telemetry.region import Region

__all__ = [
    "Counter",
    "Exemplar",
    "Exemplars",
    "Family",
    "Gauge",
    "Histogram",
    "Instruments",
    "Labels",
    "Merge",
    "Totals",
]

Labels = tuple[str, ...]
Totals = dict[str, dict[Labels, list[float]]]
"""The cells of every series, by its family's name and its label values."""

_ID_PARTS = 4
"""A trace's id is kept in four numbers of 32 bits, which a float64 holds exactly."""

_EXEMPLAR_CELLS = 1 + _ID_PARTS + 2

_HIDDEN_NS = 30 * 10**9
"""Longer than processes differ in when they learn that a version is gone."""

IsWanted = Callable[[str, str], bool]
"""Whether the series of a model's version are still of interest."""


class Merge(enum.Enum):
    """What several processes' values of a gauge are together."""

    SUM = enum.auto()
    MAX = enum.auto()


class Series:
    """One set of label values. It may be used for ever; once it is retired nobody sees what it counts.

    Attributes:
        is_retired: whether it is; whoever asks its family again gets another one.
    """

    __slots__ = ("_cells", "is_retired")

    def __init__(self, cells: memoryview[float]) -> None:
        self._cells = cells
        self.is_retired = False

    def detach(self) -> None:
        """Count where nobody looks: the record may become another series'."""
        self._cells = _nowhere(len(self._cells))
        self.is_retired = True


class CounterSeries(Series):
    """One cell, which only grows."""

    __slots__ = ()

    def inc(self, amount: float = 1.0) -> None:
        self._cells[0] += amount

    def set(self, total: float) -> None:
        """Show a total that is kept elsewhere, where it outlives all processes. One process may do so."""
        self._cells[0] = total


class GaugeSeries(Series):
    """One cell."""

    __slots__ = ()

    def inc(self, amount: float = 1.0) -> None:
        self._cells[0] += amount

    def set(self, value: float) -> None:
        self._cells[0] = value


class HistogramSeries(Series):
    """The sum, then a count for each bucket; the last bucket has no bound."""

    __slots__ = ("_bounds",)

    def __init__(self, cells: memoryview[float], bounds: Sequence[float]) -> None:
        super().__init__(cells)
        self._bounds = bounds

    def observe(self, value: float, times: int = 1) -> None:
        """Count one value, or the same one several times."""
        cells = self._cells
        cells[bisect_left(self._bounds, value) + 1] += times
        cells[0] += value * times

    def observe_all(self, values: Sequence[float]) -> None:
        """Count several values."""
        cells, bounds = self._cells, self._bounds
        for value in values:
            cells[bisect_left(bounds, value) + 1] += 1.0
        cells[0] += sum(values)


class ExemplarSeries(Series):
    """For each bucket of a histogram a request that fell into it: its value, its trace and when that was.

    The moment stands before and behind the rest, and is written behind first: where both are equal, a reader that goes
    forwards has read what belongs together.
    """

    __slots__ = ("_bounds",)

    def __init__(self, cells: memoryview[float], bounds: Sequence[float]) -> None:
        super().__init__(cells)
        self._bounds = bounds

    def note(self, value: float, trace_id: str) -> None:
        """Keep this request instead of the one before it."""
        cells, at, now = self._cells, bisect_left(self._bounds, value) * _EXEMPLAR_CELLS, time.time()
        cells[at + _EXEMPLAR_CELLS - 1] = now
        for part in range(_ID_PARTS):
            cells[at + 1 + part] = int(trace_id[8 * part : 8 * part + 8], 16)
        cells[at + 1 + _ID_PARTS] = value
        cells[at] = now


class Exemplar(NamedTuple):
    """A request that a bucket holds: 32 hexadecimal digits, a value, and seconds since 1970."""

    trace_id: str
    value: float
    at: float


S = TypeVar("S", bound=Series)


class Family(ABC, Generic[S]):
    """All series of one name.

    Args:
        instruments: where it is counted.
        name: as Prometheus shows it, a counter's without `_total`.
        description: one sentence.
        label_names: what tells its series apart. Those of a version have `model` and `version` among them.
        is_listed: False when it is shown on a page of its own.

    Attributes:
        kind: one letter, which starts the keys of its records.
        size: cells of a series.
    """

    kind: ClassVar[str] = ""
    size = 1

    def __init__(
        self,
        instruments: Instruments,
        name: str,
        description: str,
        label_names: Sequence[str] = (),
        *,
        is_listed: bool = True,
    ) -> None:
        self.name = name
        self.description = description
        self.label_names = tuple(label_names)
        self.is_listed = is_listed
        self._instruments = instruments
        self._series: dict[Labels, S] = {}
        instruments.add(self)

    @abstractmethod
    def make(self, cells: memoryview[float]) -> S:
        """A series over `cells`."""

    def labels(self, *values: str) -> S:
        """The series with these values of its labels, in their order."""
        return self._series.get(values) or self._instruments.bind(self, self._series, values)

    def find(self, *values: str) -> S | None:
        """The same, if it has been asked for before; nothing is counted in else."""
        return self._series.get(values)

    def remove(self, *values: str) -> None:
        """Retire the series with these values, if there is one. Safe in any thread."""
        self._instruments.retire([self.key(values)])

    def forget(self, values: Labels) -> None:
        """Let go of a retired series."""
        if series := self._series.pop(values, None):
            series.detach()

    def key(self, values: Labels) -> bytes:
        """What the series' record is found by."""
        return json.dumps([self.kind, self.name, *values]).encode()

    def merge(self, total: list[float], cells: list[float]) -> list[float]:
        """What two processes' cells of a series are together."""
        return [one + other for one, other in zip(total, cells, strict=True)]


class Counter(Family[CounterSeries]):
    """What only grows. It survives the process that counted."""

    kind = "c"

    def make(self, cells: memoryview[float]) -> CounterSeries:
        return CounterSeries(cells)


class Gauge(Family[GaugeSeries]):
    """What is, as long as the process that says so lives.

    Args:
        how: what several processes' values are together.
    """

    kind = "g"

    def __init__(
        self,
        instruments: Instruments,
        name: str,
        description: str,
        label_names: Sequence[str] = (),
        *,
        how: Merge,
        is_listed: bool = True,
    ) -> None:
        super().__init__(instruments, name, description, label_names, is_listed=is_listed)
        self._how = how

    def make(self, cells: memoryview[float]) -> GaugeSeries:
        return GaugeSeries(cells)

    def merge(self, total: list[float], cells: list[float]) -> list[float]:
        return super().merge(total, cells) if self._how is Merge.SUM else max(total, cells)


class Exemplars(Family[ExemplarSeries]):
    """Requests that stand for the buckets of a histogram, those that were traced last.

    Args:
        bounds: of the histogram.
    """

    kind = "e"

    def __init__(
        self, instruments: Instruments, name: str, label_names: Sequence[str], bounds: Sequence[float]
    ) -> None:
        self._bounds = bounds
        self.size = (len(bounds) + 1) * _EXEMPLAR_CELLS
        super().__init__(instruments, name, "Requests that were traced.", label_names, is_listed=False)

    def make(self, cells: memoryview[float]) -> ExemplarSeries:
        return ExemplarSeries(cells, self._bounds)

    def merge(self, total: list[float], cells: list[float]) -> list[float]:
        """The newest of each bucket."""
        merged: list[float] = []
        for at in range(0, self.size, _EXEMPLAR_CELLS):
            merged += max(total[at : at + _EXEMPLAR_CELLS], cells[at : at + _EXEMPLAR_CELLS])
        return merged

    @staticmethod
    def read(cells: Sequence[float]) -> list[Exemplar | None]:
        """What a series has for each bucket; None for nothing, or what is just being written."""
        return [_exemplar(cells[at : at + _EXEMPLAR_CELLS]) for at in range(0, len(cells), _EXEMPLAR_CELLS)]


def _exemplar(cells: Sequence[float]) -> Exemplar | None:
    at, *parts, value, also_at = cells
    if not at or at != also_at:
        return None
    return Exemplar("".join([f"{int(part):08x}" for part in parts]), value, at)


class Histogram(Family[HistogramSeries]):
    """How values are spread. It survives the process that counted.

    Args:
        bounds: each bucket's largest value, ascending; one without bound follows.

    Attributes:
        exemplars: requests that stand for its buckets; no series of it takes room before one was traced.
    """

    kind = "h"

    def __init__(
        self,
        instruments: Instruments,
        name: str,
        description: str,
        label_names: Sequence[str] = (),
        *,
        bounds: Sequence[float],
        is_listed: bool = True,
    ) -> None:
        self.bounds = tuple(bounds)
        self.size = len(self.bounds) + 2
        super().__init__(instruments, name, description, label_names, is_listed=is_listed)
        self.exemplars = Exemplars(instruments, f"exemplars of {name}", label_names, self.bounds)

    def make(self, cells: memoryview[float]) -> HistogramSeries:
        return HistogramSeries(cells, self.bounds)


class Instruments:
    """The families, the region that this process counts in, and those of its siblings.

    Counters and histograms that a process before left in the region are gone on with; its gauges are forgotten.

    Args:
        pieces: the memory of all regions; none for a process that is alone.
        home: which of them is this process's.
    """

    def __init__(self, pieces: Sequence[memoryview] = (), home: int = 0) -> None:
        self._regions = [Region(piece) for piece in pieces] or [Region.private()]
        self._pieces = pieces
        self._home = self._regions[home]
        self._families: dict[str, Family[Series]] = {}
        self._lock = threading.Lock()
        self.retire([key for key in self._home.series() if _parse(key)[0] == Gauge.kind])
        self._home.owner = os.getpid()

    @property
    def families(self) -> Iterable[Family[Series]]:
        """All that were made, in that order."""
        return self._families.values()

    @property
    def owners(self) -> dict[int, int]:
        """The process ids of those that count now, by region."""
        return {which: region.owner for which, region in enumerate(self._regions) if region.owner}

    @property
    def overflows(self) -> int:
        """How many series found no room in their region and are counted nowhere."""
        return sum(region.overflows for region in self._regions)

    def totals(self) -> Totals:
        """What all processes counted, those that are gone included; gauges of those that live.

        A series that one process is about to forget is left out: what the others still have of it is no total.
        """
        totals: Totals = {name: {} for name in self._families}
        hidden = {key for region in self._regions for key in region.hidden()}
        for region in self._regions:
            is_owned = bool(region.owner)
            for key, cells in region.read():
                if key in hidden:
                    continue
                kind, name, values = _parse(key)
                family = self._families.get(name)
                if family is None or (family.kind, family.size) != (kind, len(cells)):
                    continue  # another release of this program counted it
                if is_owned or kind != Gauge.kind:
                    known = totals[name].get(values)
                    totals[name][values] = family.merge(known, cells) if known else cells
        return totals

    def retain(self, is_wanted: IsWanted) -> None:
        """Hide this process's series of versions that nobody wants any more, and retire them a while later.

        Call it again and again. Safe in any thread.
        """
        with self._lock:
            hidden, old = _hide(self._home, lambda key: self._is_of_interest(key, is_wanted))
            for key in hidden:
                self._forget(key)
            for key in old:
                self._home.retire(key)

    def sweep(self, abandoned: Iterable[int], is_wanted: IsWanted) -> None:
        """Do the same in regions whose processes are gone: by the one process that may, which gives regions away."""
        for which in abandoned:
            region = Region(self._pieces[which])
            _, old = _hide(region, lambda key: self._is_of_interest(key, is_wanted))
            for key in old:
                region.retire(key)

    def abandon(self, which: int) -> None:
        """Note that the process of a region is gone: its gauges are of no interest any more."""
        self._regions[which].owner = 0

    def _is_of_interest(self, key: bytes, is_wanted: IsWanted) -> bool:
        _, name, values = _parse(key)
        family = self._families.get(name)
        labels = dict(zip(family.label_names, values, strict=False)) if family else {}
        return not labels.get("version") or is_wanted(labels["model"], labels["version"])

    def counted(self, family: Family[S]) -> list[Labels]:
        """The label values of the family's series in this process's region, those of processes before included."""
        return [values for _, name, values in map(_parse, self._home.series()) if name == family.name]

    # -- for families ----------------------------------------------------------------------------------------------

    def add(self, family: Family[S]) -> None:
        """Take note of a new family."""
        self._families[family.name] = family  # type: ignore[assignment] # it is only read from here

    def bind(self, family: Family[S], series: dict[Labels, S], values: Labels) -> S:
        """Find or make the record of a series. Safe in any thread."""
        with self._lock:
            if values not in series:
                cells = self._home.cells(family.key(values), family.size)
                series[values] = family.make(_nowhere(family.size) if cells is None else cells)
            return series[values]

    def retire(self, keys: Iterable[bytes]) -> None:
        """Forget series of this process. Safe in any thread."""
        with self._lock:
            for key in keys:
                self._forget(key)
                self._home.retire(key)

    def _forget(self, key: bytes) -> None:
        _, name, values = _parse(key)
        if family := self._families.get(name):
            family.forget(values)


def _hide(region: Region, is_of_interest: Callable[[bytes], bool]) -> tuple[list[bytes], list[bytes]]:
    """Hide the series that are of no interest, show again those that are; what is hidden, and what has been long."""
    now = time.monotonic_ns()
    hidden, old = [], []
    for key in region.series():
        if is_of_interest(key):
            region.show(key)
            continue
        hidden.append(key)
        if now - region.hide(key, now) > _HIDDEN_NS:
            old.append(key)
    return hidden, old


def _parse(key: bytes) -> tuple[str, str, Labels]:
    """A series' kind, the name of its family, and its label values."""
    kind, name, *values = json.loads(key)
    return kind, name, tuple(values)


def _nowhere(size: int) -> memoryview[float]:
    return memoryview(array("d", bytes(8 * size)))
