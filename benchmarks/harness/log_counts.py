"""What a server's metrics say of its prediction log."""

from __future__ import annotations

import re
import urllib.request
from dataclasses import dataclass

__all__ = ["LogCounts"]

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
        with urllib.request.urlopen(f"http://127.0.0.1:{management_port}/metrics", timeout=_TIMEOUT_S) as answer:  # noqa: S310 - this machine
            text = answer.read().decode()
        return LogCounts(
            shipped_rows=_sum(text, "fairlead_log_shipped_rows_total"),
            backlog_bytes=_sum(text, "fairlead_log_backlog_bytes"),
            dropped_bytes=_sum(text, "fairlead_log_dropped_bytes_total"),
            failures=_sum(text, "fairlead_log_failures_total"),
        )


def _sum(text: str, name: str) -> int:
    return sum(int(float(value)) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE))
