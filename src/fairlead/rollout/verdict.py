"""What a guard says of the evidence, with its numbers."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Finding", "Guard", "Verdict"]


class Verdict(enum.StrEnum):
    """What the evidence allows one to say."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


class Guard(enum.StrEnum):
    """What is watched during a rollout. The last three do not speak of harm: they stand in the way of a promotion."""

    LOAD = "load"
    NON_FINITE = "non-finite answers"
    ERRORS = "errors"
    LATENCY = "latency"
    CLASSES = "class shares"
    ACCURACY = "accuracy"
    DRIFT = "drift between arms"
    AGREEMENT = "agreement"
    MARGIN = "accuracy for promotion"
    SPLIT = "split"
    LABEL_RATE = "label rate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One guard's answer.

    Attributes:
        guard: who speaks.
        verdict: the answer; without data never `PASSED`.
        detail: one sentence.
        figures: the numbers behind it, for the journal.
    """

    guard: Guard
    verdict: Verdict
    detail: str
    figures: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        return {
            "guard": str(self.guard),
            "verdict": str(self.verdict),
            "detail": self.detail,
            "figures": dict(self.figures),
        }
