"""What a gate says: one verdict a check, with its figure and threshold, and one for the whole report."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import Any

from fairlead.errors import Code, FairleadError

__all__ = ["Bound", "Check", "Report", "Unit", "Verdict"]


class Verdict(enum.StrEnum):
    """What the evidence allows one to say."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


class Unit(enum.StrEnum):
    """What a figure counts, and so how it reads."""

    SHARE = "share"
    COUNT = "count"
    NUMBER = "number"

    def show(self, value: float) -> str:
        """The value as a reader sees it.

        >>> Unit.SHARE.show(0.9625), Unit.COUNT.show(2000), Unit.NUMBER.show(3.1e-07)
        ('96.25%', '2,000', '3.1e-07')
        """
        return format(value, _FORMATS[self])


_FORMATS = {Unit.SHARE: ".2%", Unit.COUNT: ",.0f", Unit.NUMBER: ".3g"}


class Bound(enum.StrEnum):
    """On which side of its threshold a figure must lie; the threshold itself is always good enough."""

    AT_LEAST = "at least"
    AT_MOST = "at most"

    def judge(self, figure: float, threshold: float) -> Verdict:
        """Passed or failed; a figure that is not a number fails.

        >>> str(Bound.AT_LEAST.judge(0.97, 0.97)), str(Bound.AT_MOST.judge(0.97, 0.5))
        ('passed', 'failed')
        """
        holds = figure >= threshold if self is Bound.AT_LEAST else figure <= threshold
        return Verdict.PASSED if holds else Verdict.FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One question asked of the evidence, and its answer.

    Attributes:
        name: what was checked, in a word or two.
        verdict: the answer.
        figure: what was measured, in `unit`; None when nothing could be.
        threshold: what `figure` was held against, in `unit`; None when the check has none.
        bound: the side of the threshold that passes.
        unit: what the two numbers count.
        detail: one sentence: what was measured and, when it failed, by how much.
    """

    name: str
    verdict: Verdict
    figure: float | None
    threshold: float | None
    bound: Bound
    unit: Unit
    detail: str

    def __post_init__(self) -> None:
        if not self.name.strip() or not self.detail.strip():
            raise FairleadError(Code.INVALID_ARGUMENT, f"check {self.name!r} needs a name and a detail")
        for number in (self.figure, self.threshold):
            if number is not None and not math.isfinite(number):
                raise FairleadError(
                    Code.INVALID_ARGUMENT,
                    f"check {self.name!r} holds {number}, which no JSON reader accepts",
                    hint="give None for a figure that could not be measured",
                )

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "verdict": str(self.verdict),
            "figure": self.figure,
            "threshold": self.threshold,
            "bound": str(self.bound),
            "unit": str(self.unit),
            "detail": self.detail,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Every check of one gate, in the order they are read."""

    checks: tuple[Check, ...]

    @property
    def verdict(self) -> Verdict:
        """Failed if any check failed, else inconclusive if any is or none was made, else passed.

        >>> str(Report(checks=()).verdict)
        'inconclusive'
        """
        verdicts = {check.verdict for check in self.checks}
        if Verdict.FAILED in verdicts:
            return Verdict.FAILED
        return Verdict.PASSED if verdicts == {Verdict.PASSED} else Verdict.INCONCLUSIVE

    @property
    def failures(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.verdict is Verdict.FAILED)

    def to_json(self) -> dict[str, Any]:
        return {"verdict": str(self.verdict), "checks": [check.to_json() for check in self.checks]}
