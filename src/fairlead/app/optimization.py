"""What an optimisation came to, for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fairlead.gate.verdict import Report, Verdict
from fairlead.optimization.pace import BATCHES, Pace
from fairlead.servable.identity import ServableId

__all__ = ["Candidate", "Optimization"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidate:
    """What one method came to.

    Attributes:
        method: its name.
        pace: how fast what it made is; None when it made nothing that could be asked.
        size_bytes: of its file.
        accuracy: the share of the rows that it gets right.
        agreement: the share of the rows that it gives the original's class.
        report: what the gate says of it; None when there was nothing to judge.
        trouble: why there was not.
    """

    method: str
    pace: Pace | None = None
    size_bytes: int = 0
    accuracy: float = 0.0
    agreement: float = 0.0
    report: Report | None = None
    trouble: str = ""

    @property
    def has_passed(self) -> bool:
        """Whether the gate lets it pass."""
        return self.report is not None and self.report.verdict is Verdict.PASSED

    @property
    def least_speedup(self) -> float:
        """How many times as fast as the original it is where it gains the least."""
        return min(self.pace.speedup.values()) if self.pace else 0.0

    def to_json(self) -> dict[str, Any]:
        if self.pace is None or self.report is None:
            return {"method": self.method, "trouble": self.trouble}
        return {"method": self.method, **self.figures, "gate": self.report.to_json()}

    @property
    def figures(self) -> dict[str, Any]:
        """What was measured, for the lineage."""
        pace = self.pace or Pace(rows_per_s={}, speedup={})
        return {
            "rows_per_s": {str(batch): round(rate, 1) for batch, rate in pace.rows_per_s.items()},
            "speedup": {str(batch): round(factor, 3) for batch, factor in pace.speedup.items()},
            "size_bytes": self.size_bytes,
            "accuracy": self.accuracy,
            "agreement": self.agreement,
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Optimization:
    """What an optimisation came to.

    Attributes:
        original: the version that was optimised.
        rows: how many rows judged.
        baseline: the original beside itself.
        candidates: what each method came to, in the order in which they were tried.
        best: the method of what was published; empty when nothing was.
        version: what was published.
    """

    original: ServableId
    rows: int
    baseline: Candidate
    candidates: tuple[Candidate, ...]
    best: str = ""
    version: ServableId | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "original": str(self.original),
            "rows": self.rows,
            "baseline": self.baseline.figures,
            "candidates": [candidate.to_json() for candidate in self.candidates],
            "best": self.best or None,
            "version": self.version.version if self.version else None,
        }

    @property
    def rows_of_table(self) -> list[list[str]]:
        """A heading, the original, and each candidate."""
        rates = [f"rows/s by {batch}" for batch in BATCHES]
        heading = ["candidate", *rates, "faster", "kB", "accuracy", "agreement", "verdict"]
        return [heading, _line(self.baseline), *(_line(candidate) for candidate in self.candidates)]

    @property
    def refusals(self) -> list[str]:
        """One line for each reason why a candidate was not made, or did not pass."""
        lines = [f"{one.method}: {one.trouble}" for one in self.candidates if one.trouble]
        for candidate in self.candidates:
            checks = candidate.report.checks if candidate.report else ()
            lines += [
                f"{candidate.method}: {check.name} {check.verdict}: {check.detail}"
                for check in checks
                if check.verdict is not Verdict.PASSED
            ]
        return lines


def _line(candidate: Candidate) -> list[str]:
    pace = candidate.pace
    if pace is None:
        return [candidate.method, *["-"] * len(BATCHES), "-", "-", "-", "-", "not tried"]
    return [
        candidate.method,
        *(f"{pace.rows_per_s[batch]:,.0f}" for batch in BATCHES),
        f"{candidate.least_speedup:.2f}",
        f"{candidate.size_bytes / 1000:,.0f}",
        f"{candidate.accuracy:.2%}",
        f"{candidate.agreement:.2%}",
        str(candidate.report.verdict) if candidate.report else "",
    ]
