"""What a server's metrics say of its prediction log."""

from __future__ import annotations

import re
import urllib.request
from dataclasses import dataclass

__all__ = ["LogCounts", "count_of"]

_TIMEOUT_S = 10.0


@dataclass(frozen=True, kw_only=True)
class LogCounts:
    """The log's metrics at one moment.

    Attributes:
        shipped_rows: that the database has taken.
        backlog_bytes: that wait for it.
        dropped_bytes: that were given up.
        failures: attempts to reach the database that failed.
    """

    shipped_rows: int
    backlog_bytes: int
    dropped_bytes: int
    failures: int

    @staticmethod
    def of(management_port: int) -> LogCounts:
        """Ask the management port.

        Raises:
            OSError: when it does not answer.
        """
        with urllib.request.urlopen(f"http://127.0.0.1:{management_port}/metrics", timeout=_TIMEOUT_S) as answer:
            text = answer.read().decode()
        return LogCounts(
            shipped_rows=count_of(text, "fairlead_log_shipped_rows_total"),
            backlog_bytes=count_of(text, "fairlead_log_backlog_bytes"),
            dropped_bytes=count_of(text, "fairlead_log_dropped_bytes_total"),
            failures=count_of(text, "fairlead_log_failures_total"),
        )


def count_of(text: str, name: str) -> int:
    """The sum of all series of that name in a page of metrics."""
    return sum(int(float(value)) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE))
