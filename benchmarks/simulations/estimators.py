"""Which estimate of accuracy without labels errs least: five of them, over eight models and how their rows change.

    python -m benchmarks.simulations.estimators --store .fairlead/store

takes the newest version of `digits` in the store and the data sets in `FAIRLEAD_DATA_DIR`, trains seven small models
with scikit-learn, and writes `docs/simulations/estimators.md`. Windows of 500 rows are looked at whose mean confidence
is within 4 points of that on the held-out rows: beyond it the product says `out of range`.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar

from benchmarks.simulations.estimator_models import Population, populations
from benchmarks.simulations.picture_windows import WINDOW_ROWS
from fairlead.monitoring.estimate import Calibration, estimate_accuracy

__all__ = ["ESTIMATORS", "HELD_OUT_ROWS", "errors"]

HELD_OUT_ROWS = (300, 1000, 4000)
ESTIMATORS = (
    "held-out accuracy",
    "averaged confidence",
    "after temperature scaling",
    "after Platt scaling",
    "averaged threshold",
    "difference of confidences",
)
_RANGE = 0.04
_INTRODUCTION = f"""\
# Which estimate of accuracy errs least

Mean size of the error in points, and the share of windows within 5 points, of estimates of accuracy without labels in
windows of {WINDOW_ROWS} rows. Written by `python -m benchmarks.simulations.estimators`, which says what the windows
are. The lines of single models are those with {HELD_OUT_ROWS[1]:,} held-out rows. `held-out accuracy` is the estimate
of one who looks at nothing; `averaged threshold` is the share of rows above that confidence above which as many
held-out rows were as were right.

The product uses the difference of confidences: it errs least, and needs three figures of the held-out rows. None of
these estimates sees that the right answers have changed: boosted trees are about as sure of themselves on people of
another age, and right more often or less. Only labels tell that.
"""
_ROOT = Path(__file__).parents[2]

Probabilities = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class _Fitted:
    """What each estimator has learned from held-out rows."""

    calibration: Calibration
    threshold: float
    temperature: float
    platt: NDArray[np.float64]

    @staticmethod
    def of(probabilities: Probabilities, labels: NDArray[np.int64]) -> _Fitted:
        confidence = probabilities.max(axis=1)
        is_right = probabilities.argmax(axis=1) == labels
        return _Fitted(
            calibration=Calibration(
                rows=len(labels),
                accuracy=float(is_right.mean()),
                mean_confidence=float(confidence.mean()),
                std_confidence=float(confidence.std()),
            ),
            threshold=float(np.quantile(confidence, 1 - is_right.mean())),
            temperature=_temperature(probabilities, labels),
            platt=_platt(confidence, is_right),
        )

    def estimates(self, probabilities: Probabilities) -> Mapping[str, float]:
        """One a name of `ESTIMATORS`."""
        confidence = probabilities.max(axis=1)
        slope, offset = self.platt
        found = (
            self.calibration.accuracy,
            confidence.mean(),
            _soften(probabilities, self.temperature).max(axis=1).mean(),
            _logistic(slope * _logit(confidence) + offset).mean(),
            (confidence > self.threshold).mean(),
            estimate_accuracy(self.calibration, confidence).value,
        )
        return {name: float(value) for name, value in zip(ESTIMATORS, found, strict=True)}


def errors(
    population: Population, held_out_rows: int, *, rounds: int, windows: int, seed: int
) -> Iterator[Mapping[str, float]]:
    """Estimate less truth, by estimator, for each window in range; every round draws other held-out rows."""
    generator = np.random.default_rng(seed)
    half = len(population.labels) // 2
    for _ in range(rounds):
        order = generator.permutation(len(population.labels))
        held_out = order[: min(held_out_rows, half)]
        fitted = _Fitted.of(population.probabilities[held_out], population.labels[held_out])
        for change in (*population.changes, None):
            for _ in range(windows):
                probabilities, labels = population.window(change, order[half:], WINDOW_ROWS, generator)
                drop = fitted.calibration.mean_confidence - probabilities.max(axis=1).mean()
                if abs(drop) <= _RANGE:
                    truth = (probabilities.argmax(axis=1) == labels).mean()
                    yield {name: value - truth for name, value in fitted.estimates(probabilities).items()}


def _temperature(probabilities: Probabilities, labels: NDArray[np.int64]) -> float:
    """Source: C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, "On calibration of modern neural networks", ICML 2017."""

    def loss(log_temperature: float) -> float:
        softened = _soften(probabilities, np.exp(log_temperature))
        return float(-np.log(softened[np.arange(len(labels)), labels].clip(1e-12)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-2, 3), method="bounded").x))


def _platt(confidence: Probabilities, is_right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Source: J. Platt, "Probabilistic outputs for support vector machines" (1999), on the logit of the confidence."""
    scores, sign = _logit(confidence), np.where(is_right, -1, 1)

    def loss(weights: NDArray[np.float64]) -> float:
        kept_near = 1e-4 * ((weights[0] - 1) ** 2 + weights[1] ** 2)
        return float(np.logaddexp(0, sign * (weights[0] * scores + weights[1])).mean() + kept_near)

    return np.asarray(minimize(loss, [1.0, 0.0]).x, np.float64)


def _soften(probabilities: Probabilities, temperature: float) -> Probabilities:
    scores = np.log(probabilities.clip(1e-7, 1)) / temperature
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _logit(confidence: Probabilities) -> Probabilities:
    inner = confidence.clip(1e-6, 1 - 1e-6)
    return np.asarray(np.log(inner / (1 - inner)))


def _logistic(score: Probabilities) -> Probabilities:
    return np.asarray(1 / (1 + np.exp(-score)))


def _page(found: Mapping[tuple[str, int], list[Mapping[str, float]]]) -> str:
    sizes = [
        [
            f"all, {rows:,} held-out rows",
            *_cells([one for (_, size), some in found.items() if size == rows for one in some]),
        ]
        for rows in HELD_OUT_ROWS
    ]
    models = [[name, *_cells(some)] for (name, size), some in found.items() if size == HELD_OUT_ROWS[1]]
    head = ["", "windows", *ESTIMATORS]
    lines = [f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *sizes, *models]]
    return "\n".join(
        [
            _INTRODUCTION,
            *lines,
            "",
        ]
    )


def _cells(some: list[Mapping[str, float]]) -> list[str]:
    cells = [f"{len(some):,}"]
    for name in ESTIMATORS:
        sizes = np.abs([one[name] for one in some])
        cells.append(f"{100 * sizes.mean():.1f} / {(sizes <= 0.05).mean():.0%}")  # noqa: PLR2004 - 5 points
    return cells


def main() -> None:
    """Run it and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, default=Path(".fairlead/store"), help="a model store with digits")
    parser.add_argument("--data", default=os.environ.get("FAIRLEAD_DATA_DIR", _ROOT.parent / "shared" / "data"))
    parser.add_argument("--out", type=Path, default=_ROOT / "docs" / "simulations")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # scikit-learn says that few iterations were few
    found: dict[tuple[str, int], list[Mapping[str, float]]] = {}
    for population in populations(arguments.store, Path(arguments.data)):
        print(population.name, file=sys.stderr)
        for rows in HELD_OUT_ROWS:
            found[population.name, rows] = list(errors(population, rows, rounds=10, windows=4, seed=2))
    (arguments.out / "estimators.md").write_text(_page(found))


if __name__ == "__main__":
    main()
