"""What siblings know of each other's connections."""

from __future__ import annotations

from fairlead.telemetry.connections import ConnectionCounts
from fairlead.telemetry.instruments import Gauge, Instruments, Merge
from fairlead.telemetry.region import Memory


def test_siblings_know_who_has_the_fewest() -> None:
    """Of those that accept, whatever it has itself; and the page shows them all together."""
    memory = Memory.make(4)

    def process(home: int) -> tuple[Instruments, ConnectionCounts]:
        instruments = Instruments(memory.pieces, home)
        gauge = Gauge(instruments, "open", "Open.", how=Merge.SUM).labels()
        return instruments, ConnectionCounts(memory.pieces, home, 1, gauge)

    _, first = process(1)
    assert first.fewest() is None
    _, second = process(2)
    instruments, third = process(3)
    assert first.fewest() is None
    second.tell(7)
    third.tell(0)
    assert (first.fewest(), second.fewest(), third.fewest()) == (0, 0, 7)
    assert instruments.totals()["open"] == {(): [7.0]}
    third.tell(None)
    assert first.fewest() == 7
    instruments.abandon(2)
    assert first.fewest() is None
