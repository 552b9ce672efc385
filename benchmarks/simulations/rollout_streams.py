"""Made-up traffic of a rollout: two versions with the qualities one names, and everything else by chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairlead.rollout.observation import Answers, Labels, PairLabels

__all__ = ["CLASSES", "GAP_US", "Arm", "World", "pair_labels", "stream"]

CLASSES = tuple(f"class {number}" for number in range(10))
GAP_US = 100_000
"""Ten requests a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """What one version is like.

    Attributes:
        accuracy: share of answers that are right.
        error: share of requests that it fails on.
        non_finite: share of answers with NaN.
        slowness: how many times the ordinary latency it takes.
        one_class: share of answers that are class 0 whatever was asked.
    """

    accuracy: float = 0.9
    error: float = 0.0
    non_finite: float = 0.0
    slowness: float = 1.0
    one_class: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A stable version, a candidate, and how requests come.

    Attributes:
        weight: the candidate's planned share of requests.
        real_weight: the share it gets; None for the planned one.
        top_class: share of requests whose true class is class 0; the other nine share the rest.
        stalls: share of requests at which everything stands still, so that the next thirty take 20 times as long.
    """

    stable: Arm = Arm()
    candidate: Arm = Arm()
    weight: float = 0.1
    real_weight: float | None = None
    top_class: float = 0.1
    stalls: float = 0.0


def stream(rng: np.random.Generator, world: World, requests: int, start_us: int = 0) -> tuple[Answers, Labels]:
    """That many requests with their answers, and a label at once for each that was answered."""
    real_weight = world.weight if world.real_weight is None else world.real_weight
    candidate = rng.random(requests) < real_weight
    at_us = start_us + np.arange(1, requests + 1, dtype=np.int64) * GAP_US
    error = rng.random(requests) < _by_arm(world, candidate, "error")
    right = rng.random(requests) < _by_arm(world, candidate, "accuracy")
    predicted, right = _predict(rng, world, candidate, right)
    answers = Answers(
        weight=world.weight,
        at_us=at_us,
        candidate=candidate,
        error=error,
        non_finite=~error & (rng.random(requests) < _by_arm(world, candidate, "non_finite")),
        latency_us=_latency_us(rng, world, candidate),
        predicted=np.where(error, -1, predicted),
        classes=CLASSES,
    )
    labels = Labels(weight=world.weight, at_us=at_us[~error], candidate=candidate[~error], right=right[~error])
    return answers, labels


def pair_labels(rng: np.random.Generator, only_stable: float, only_candidate: float, rows: int) -> PairLabels:
    """Labels for rows that both answered, of which those shares are right by one version alone."""
    u = rng.random(rows)
    lost, won = u < only_stable, (u >= only_stable) & (u < only_stable + only_candidate)
    at_us = np.arange(1, rows + 1, dtype=np.int64) * GAP_US
    return PairLabels(at_us=at_us, stable_right=~won, candidate_right=~lost)


def _by_arm(world: World, candidate: NDArray[np.bool_], quality: str) -> NDArray[np.float64]:
    values: NDArray[np.float64] = np.where(candidate, getattr(world.candidate, quality), getattr(world.stable, quality))
    return values


def _predict(
    rng: np.random.Generator, world: World, candidate: NDArray[np.bool_], right: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Predicted classes, and who is right once some answers are class 0 whatever was asked."""
    n, others = len(candidate), len(CLASSES) - 1
    truth = np.where(rng.random(n) < world.top_class, 0, 1 + rng.integers(others, size=n))
    wrong = (truth + 1 + rng.integers(others, size=n)) % len(CLASSES)
    stuck = rng.random(n) < _by_arm(world, candidate, "one_class")
    predicted = np.where(stuck, 0, np.where(right, truth, wrong))
    return predicted, predicted == truth


def _latency_us(rng: np.random.Generator, world: World, candidate: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Log-normal with a sigma of 0.6 around 5 ms, and now and then a stall that both arms share."""
    latency = 5_000.0 * np.exp(0.6 * rng.standard_normal(len(candidate))) * _by_arm(world, candidate, "slowness")
    if world.stalls:
        starts = (rng.random(len(candidate)) < world.stalls).astype(np.int64)
        latency = np.where(np.convolve(starts, np.ones(30))[: len(candidate)] > 0, 20.0 * latency, latency)
    return latency.astype(np.int64)
