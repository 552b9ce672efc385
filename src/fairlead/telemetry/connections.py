"""How many connections each process of a service has, for the page and for its siblings."""

from __future__ import annotations

from collections.abc import Sequence

from fairlead.telemetry.instruments import Gauge, GaugeSeries, Instruments, Merge
from fairlead.telemetry.region import Region

__all__ = ["ConnectionCounts", "connections_gauge"]


def connections_gauge(instruments: Instruments) -> Gauge:
    """Shows how many connections there are, by protocol."""
    return Gauge(instruments, "fairlead_connections", "Open connections.", ["protocol"], how=Merge.SUM)


class ConnectionCounts:
    """The connections of one protocol.

    Args:
        pieces: the memory of all regions.
        home: the number of this process's region.
        which: the number of the protocol, from 0 to 3.
        gauge: shows this process's.
    """

    def __init__(self, pieces: Sequence[memoryview], home: int, which: int, gauge: GaugeSeries) -> None:
        regions = [Region(piece) for piece in pieces]
        self._own = regions[home].connections
        self._others = [region.connections for number, region in enumerate(regions) if number != home]
        self._which = which
        self._gauge = gauge
        self.tell(None)

    def fewest(self) -> int | None:
        """How many the process has that accepts and has the fewest, this one left out; None when there is no other."""
        which = self._which
        # One more than there are is written, so that memory that is 0 says that nobody accepts.
        return min((count - 1 for other in self._others if (count := other[which])), default=None)

    def tell(self, connections: int | None) -> None:
        """Say how many this process has; None when it does not accept."""
        self._own[self._which] = 0 if connections is None else connections + 1
        self._gauge.set(connections or 0)
