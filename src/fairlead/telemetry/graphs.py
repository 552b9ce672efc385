"""What members of graphs say, by graph and member."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from fairlead.telemetry.instruments import Counter, Instruments

__all__ = ["GraphMetrics"]


class GraphMetrics:
    """The instruments of graphs. Safe in threads."""

    def __init__(self, instruments: Instruments) -> None:
        self._lock = threading.Lock()
        self._members = Counter(
            instruments,
            "fairlead_graph_member_rows",
            "Rows that a graph asked a version, by what became of them.",
            ["model", "version", "member", "outcome"],
        )
        self._rows = Counter(
            instruments,
            "fairlead_graph_rows",
            "Rows that a graph was asked, by whose the answer is.",
            ["model", "version", "outcome"],
        )

    def ran(
        self, model: str, version: int, *, members: Iterable[tuple[str, str, int]], rows: Iterable[tuple[str, int]]
    ) -> None:
        """Note one run.

        Args:
            model: what ran.
            version: its version.
            members: of each that was to be asked its name, an outcome, and for how many rows.
            rows: an outcome of the graph itself, and for how many rows.
        """
        number = str(version)
        with self._lock:  # a series is counted in by one thread at a time
            for member, outcome, count in members:
                self._members.labels(model, number, member, outcome).inc(count)
            for outcome, count in rows:
                self._rows.labels(model, number, outcome).inc(count)
