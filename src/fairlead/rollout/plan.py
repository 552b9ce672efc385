"""How a candidate is to be tried out: by shadow, canary or A/B, for how long, and what counts as harm."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from fairlead.errors import Code, FairleadError

__all__ = ["Mode", "OnTimeout", "Plan"]

_POSITIVE_S = ("timeout_s", "stale_after_s")
_DURATIONS_S = ("bake_s", "horizon_s")
_COUNTS = ("min_requests", "min_labels")
_OPEN_SHARES = ("alpha", "invalid_p", "confidence", "min_agreement")
_HALF = 0.5


class Mode(enum.StrEnum):
    """What the candidate's answers are used for."""

    SHADOW = "shadow"
    CANARY = "canary"
    AB = "ab"


class OnTimeout(enum.StrEnum):
    """What happens when the time is up and nothing was shown either way."""

    ROLL_BACK = "roll_back"
    HOLD_FOR_PERSON = "hold_for_person"
    PROMOTE = "promote"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The whole of a rollout's rules, fixed before it starts.

    Attributes:
        mode: shadow answers copies of requests; a canary takes a growing share; an A/B a fixed one up to a horizon.
        weights: the candidate's share of requests, step by step, each larger than the one before, above 0 and at most
            1. None for a shadow, one below 1 for an A/B. At 1 there is no stable answer to compare with.
        bake_s: seconds that each step lasts at least.
        min_requests: rows that the candidate answers in each step at least.
        min_labels: labels of the candidate at which its accuracy is judged for promotion, once: looking again would
            favour it. 0 asks for no labels. In an A/B these labels are the horizon.
        horizon_s: seconds after the start at which an A/B is judged, where labels do not set the horizon; else 0.
        timeout_s: seconds after the start at which `on_timeout` decides.
        on_timeout: what it decides. Never a promotion of what no one looked at: see `next_step`.
        stale_after_s: seconds without an answer of an arm after which the evidence says nothing about now.
        alpha: chance of a false alarm, for each guard, however long the rollout lasts.
        invalid_p: a split or label rates that chance alone would give less often than this are no comparison.
        margin: accuracy that a candidate may lose and still be promoted.
        confidence: one-sided, that no more than `margin` is lost.
        max_latency_ratio: a candidate this many times as slow is still accepted.
        min_class_distance: total variation distance of predicted classes below which no difference counts, however
            sure it is.
        min_agreement: share of a shadow's answers that are the stable version's; fewer is no small change.
    """

    mode: Mode
    weights: tuple[float, ...] = ()
    # An hour sees more than one kind of minute, and 500 requests find ten points of accuracy lost.
    bake_s: float = 3600.0
    min_requests: int = 500
    min_labels: int = 0
    horizon_s: float = 0.0
    # A week holds every hour of every day once.
    timeout_s: float = 604_800.0
    on_timeout: OnTimeout = OnTimeout.ROLL_BACK
    stale_after_s: float = 600.0
    # Five guards at 1 % each keep all false alarms together below 5 %.
    alpha: float = 0.01
    invalid_p: float = 0.001
    margin: float = 0.01
    confidence: float = 0.95
    # Two versions of one network differ by less; what a user would feel differs by more.
    max_latency_ratio: float = 1.1
    min_class_distance: float = 0.1
    min_agreement: float = 0.9

    def __post_init__(self) -> None:
        self._check_weights()
        for name in _POSITIVE_S:
            self._require(name, 0.0 < getattr(self, name) < math.inf, "is not a positive number of seconds")
        for name in _DURATIONS_S:
            self._require(name, 0.0 <= getattr(self, name) < math.inf, "is not a number of seconds of at least 0")
        for name in _COUNTS:
            self._require(name, getattr(self, name) >= 0, "is not a count of at least 0")
        for name in _OPEN_SHARES:
            self._require(name, 0.0 < getattr(self, name) < 1.0, "does not lie between 0 and 1")
        self._require("alpha", self.alpha < _HALF, "is no rate of false alarms")
        self._require("confidence", self.confidence > _HALF, "is no confidence")
        for name in ("margin", "min_class_distance"):
            self._require(name, 0.0 <= getattr(self, name) < 1.0, "is not a share of at least 0 and below 1")
        self._require("max_latency_ratio", 1.0 <= self.max_latency_ratio < math.inf, "is not a ratio of at least 1")
        self._check_horizon()

    @property
    def steps(self) -> int:
        """How many steps there are; a shadow has one."""
        return max(1, len(self.weights))

    def weight(self, step: int) -> float:
        """The candidate's share of requests in a step; 0.0 for a shadow, whose answers no caller gets."""
        return self.weights[step] if self.weights else 0.0

    def _check_weights(self) -> None:
        if self.mode is Mode.SHADOW:
            self._require("weights", not self.weights, "are for a canary or an A/B; a shadow has none")
            return
        self._require("weights", bool(self.weights), "are missing")
        self._require("weights", all(0.0 < weight <= 1.0 for weight in self.weights), "must lie above 0, at most at 1")
        rising = all(low < high for low, high in zip(self.weights, self.weights[1:], strict=False))
        self._require("weights", rising, "must rise from step to step")
        if self.mode is Mode.AB:
            self._require("weights", len(self.weights) == 1 and self.weights[0] < 1.0, "of an A/B are one, below 1")

    def _check_horizon(self) -> None:
        if self.mode is Mode.AB:
            has_one = (self.horizon_s > 0.0) != (self.min_labels > 0)
            self._require("horizon_s", has_one, f"and min_labels {self.min_labels}: an A/B needs exactly one of them")
        else:
            self._require("horizon_s", self.horizon_s == 0.0, "is for an A/B alone")
        least_s = self.horizon_s if self.mode is Mode.AB else self.bake_s * self.steps
        self._require("timeout_s", self.timeout_s > least_s, f"does not exceed the {least_s:g} s that the plan takes")

    def _require(self, name: str, holds: bool, complaint: str) -> None:
        if not holds:
            raise FairleadError(Code.INVALID_ARGUMENT, f"the plan's {name} {getattr(self, name)} {complaint}")

    def to_json(self) -> dict[str, Any]:
        document: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            **document,
            "mode": str(self.mode),
            "weights": list(self.weights),
            "on_timeout": str(self.on_timeout),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The plan that a document holds.

        Raises:
            FairleadError: INVALID_ARGUMENT for an unknown field, a value of the wrong kind, or a plan that cannot be.

        >>> Plan.from_json({"mode": "canary", "weights": [0.01, 0.1, 0.5]}).steps
        3
        """
        unknown = sorted(set(document) - {field.name for field in fields(cls)})
        if unknown:
            raise FairleadError(Code.INVALID_ARGUMENT, f"a plan has no field {unknown[0]!r}")
        if "mode" not in document:
            raise FairleadError(Code.INVALID_ARGUMENT, "the plan names no mode", hint="shadow, canary or ab")
        read: dict[str, Any] = {name: _READERS.get(name, _number)(name, value) for name, value in document.items()}
        return cls(**read)


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FairleadError(Code.INVALID_ARGUMENT, f"the plan's {name} {value!r} is not a number")
    return float(value)


def _count(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise FairleadError(Code.INVALID_ARGUMENT, f"the plan's {name} {value!r} is not a whole number")
    return value


def _weights(name: str, value: object) -> tuple[float, ...]:
    if not isinstance(value, list | tuple):
        raise FairleadError(Code.INVALID_ARGUMENT, f"the plan's {name} {value!r} are not a list of numbers")
    return tuple(_number(name, weight) for weight in value)


def _mode(name: str, value: object) -> Mode:
    if value not in list(Mode):
        raise FairleadError(Code.INVALID_ARGUMENT, f"the plan's {name} is {value!r}", hint="shadow, canary or ab")
    return Mode(str(value))


def _on_timeout(name: str, value: object) -> OnTimeout:
    if value not in list(OnTimeout):
        raise FairleadError(
            Code.INVALID_ARGUMENT, f"the plan's {name} is {value!r}", hint="roll_back, hold_for_person or promote"
        )
    return OnTimeout(str(value))


_READERS = {
    "mode": _mode,
    "weights": _weights,
    "on_timeout": _on_timeout,
    "min_requests": _count,
    "min_labels": _count,
}
