"""What is kept of a prediction."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["BOUNDS_S", "Arm", "PredictionRow", "Tally"]


class Arm(enum.StrEnum):
    """What a request was to the version that answered it."""

    NONE = ""
    """The caller had asked for this version, or for a label."""
    STABLE = "stable"
    CANDIDATE = "candidate"
    SHADOW = "shadow"
    """A copy, whose answer nobody sees."""


BOUNDS_S = tuple(0.0005 * 2**power for power in range(16))
"""Upper bounds of the latency histogram, in seconds: half a millisecond to 16 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionRow:
    """One row that one version answered, or failed to.

    Attributes:
        id: the prediction's UUID; `.0`, `.1` ... follow it where the request had several rows.
        at_us: when it was asked for, in microseconds since 1970.
        model, version: who answered.
        arm: one of `Arm`.
        error: the canonical code of the failure; empty for none.
        latency_us: from the request's arrival to its answer.
        predicted: the label of the largest output; None where there are no classes.
        confidence: that output; None where there are no classes.
        outputs: by name, the row's values flattened; None when the row was not sampled.
        features: what drift is measured by; None when the row was not sampled.
        inputs: an `.npz` of the row's input tensors, where the policy keeps them.
    """

    id: str
    at_us: int
    model: str
    version: int
    arm: str
    error: str = ""
    latency_us: int
    predicted: str | None = None
    confidence: float | None = None
    outputs: Mapping[str, Sequence[float]] | None = None
    features: Mapping[str, float | str] | None = None
    inputs: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Exact counts of one minute, whatever was sampled.

    Attributes:
        minute: since 1970.
        rows, errors: how many were asked for, and how many of them failed.
        latency: rows under each of `BOUNDS_S` and not under the one before, then those over all.
    """

    minute: int
    model: str
    version: int
    arm: str
    rows: int
    errors: int
    latency: tuple[int, ...]
