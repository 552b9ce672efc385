"""A report as plain text for a terminal: one row a check, its sentence wrapped in the last column."""

from __future__ import annotations

import textwrap

from fairlead.gate.verdict import Check, Report, Verdict

__all__ = ["table"]

_HEADER = ("check", "figure", "threshold", "verdict", "detail")
_GAP = "  "
_MIN_DETAIL_WIDTH = 40


def table(report: Report, width: int = 120) -> str:
    """Lay a report out in aligned columns, its overall verdict last.

    Args:
        report: what to show.
        width: characters a line may take; the detail column never gets fewer than 40.

    >>> print(table(Report(checks=())))
    check  figure  threshold  verdict  detail
    -----  ------  ---------  -------  ------
    inconclusive: no check was made
    """
    rows = [_HEADER, *(_cells(check) for check in report.checks)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER) - 1)]
    detail_width = max(width - sum(widths) - len(_GAP) * len(widths), _MIN_DETAIL_WIDTH)
    lines = [line for row in rows for line in _lines(row, widths, detail_width)]
    rule = _GAP.join("-" * size for size in (*widths, min(detail_width, max(len(row[-1]) for row in rows))))
    return "\n".join([lines[0], rule, *lines[1:], _summary(report)])


def _cells(check: Check) -> tuple[str, ...]:
    figure = "-" if check.figure is None else check.unit.show(check.figure)
    threshold = "-" if check.threshold is None else f"{check.bound} {check.unit.show(check.threshold)}"
    return (check.name, figure, threshold, str(check.verdict), check.detail)


def _lines(row: tuple[str, ...], widths: list[int], detail_width: int) -> list[str]:
    first, *rest = textwrap.wrap(row[-1], detail_width)
    fixed = _GAP.join(cell.ljust(size) for cell, size in zip(row[:-1], widths, strict=True))
    return [fixed + _GAP + first, *(" " * len(fixed + _GAP) + line for line in rest)]


def _summary(report: Report) -> str:
    if not report.checks:
        return f"{report.verdict}: no check was made"
    counts = {verdict: sum(check.verdict is verdict for check in report.checks) for verdict in Verdict}
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    return f"{report.verdict}: {told}"
