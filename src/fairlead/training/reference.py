"""What inputs, outputs and quality looked like at training time: `reference.json`. Drift is measured against it.

The file is a JSON object:

    schema_version   2
    rows             how many held-out rows it describes
    features         {NAME: {"quantiles": [201 numbers], "null_share": number}}, of every feature that
                     `servable.features` measures of this model's rows; quantiles at evenly spaced probabilities from
                     the least value to the greatest, over the rows that have the feature. Of categories
                     {"shares": {CATEGORY: number}, "null_share": number}, of the rows that have one
    classes          {LABEL: share of the rows that the model gave this class}
    confidence       {"mean": number, "std": number, "quantiles": [201 numbers], "histogram": [20 shares]} of the
                     largest probability of each row; the histogram has 20 bins of equal width over 0..1
    accuracy         share of the rows that the model gave the true class; null where nobody knew that
    vocabulary       [numbers] of the words known in training, where texts are measured against them

A number is the shortest text that reads as its float32: a reader turns it into that float32, as features are.
Files of schema version 1 have `input` with deciles instead of `features`; `monitoring.reference_file` reads both.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.errors import Code, FairleadError
from fairlead.servable.features import FeatureExtractor
from fairlead.servable.signature import Signature, Tensors
from fairlead.training.dataset import Rows

__all__ = [
    "REFERENCE_FILE",
    "SCHEMA_VERSION",
    "Categories",
    "Confidence",
    "Reference",
    "Spread",
    "describe",
    "describe_answers",
]

REFERENCE_FILE = "reference.json"
SCHEMA_VERSION = 2
_PROBABILITIES = np.linspace(0, 1, 201)
_BINS = 20
_BATCH_ROWS = 64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spread:
    """How one feature's values lay.

    Attributes:
        quantiles: float32 [201], ascending.
        null_share: the share of the rows that had no such number.
    """

    quantiles: NDArray[np.float32]
    null_share: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Categories:
    """How often each category of a feature occurred.

    Attributes:
        shares: by category, of the rows that had one.
        null_share: the share of the rows that had none.
    """

    shares: Mapping[str, float]
    null_share: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Confidence:
    """How sure the model was.

    Attributes:
        quantiles: float32 [201], ascending.
        histogram: shares of 20 bins.
    """

    mean: float
    std: float
    quantiles: NDArray[np.float32]
    histogram: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reference:
    """The content of `reference.json`; the module says what each field means."""

    rows: int
    features: Mapping[str, Spread | Categories]
    classes: Mapping[str, float]
    confidence: Confidence
    accuracy: float | None
    vocabulary: frozenset[int] = frozenset()

    def encode(self) -> bytes:
        """The bytes of `reference.json`, one line a field and a feature."""
        body: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "rows": self.rows,
            "accuracy": self.accuracy,
            "classes": dict(self.classes),
            "confidence": {
                "mean": self.confidence.mean,
                "std": self.confidence.std,
                "quantiles": _short(self.confidence.quantiles),
                "histogram": list(self.confidence.histogram),
            },
        }
        if self.vocabulary:
            body["vocabulary"] = sorted(self.vocabulary)
        features = [f"    {_line(name)}: {_line(_spread(spread))}" for name, spread in self.features.items()]
        lines = [f"  {_line(name)}: {_line(value)}" for name, value in body.items()]
        lines.append('  "features": {\n' + ",\n".join(features) + "\n  }")
        return ("{\n" + ",\n".join(lines) + "\n}\n").encode()


def describe(
    rows: Rows,
    probabilities: NDArray[np.float32],
    labels: Sequence[str],
    signature: Signature,
    vocabulary: frozenset[int] = frozenset(),
) -> Reference:
    """Describe held-out rows and what the model said of them.

    Args:
        rows: at least one row, with inputs that the signature has.
        probabilities: float32 [n, k], finite.
        labels: the names of the k classes.
        signature: the model's; it decides which features there are.
        vocabulary: of `servable.features.texts.vocabulary_of`, over the training texts.

    Raises:
        FairleadError: INVALID_ARGUMENT when there are no rows or the shapes do not fit.
    """
    described = describe_answers(rows.tensors(signature), probabilities, labels, signature, vocabulary)
    return replace(described, accuracy=float((probabilities.argmax(axis=1) == rows.labels).mean()))


def describe_answers(
    inputs: Tensors,
    probabilities: NDArray[np.float32],
    labels: Sequence[str],
    signature: Signature,
    vocabulary: frozenset[int] = frozenset(),
) -> Reference:
    """Describe rows whose truth nobody knows, and what the model said of them; see `describe`."""
    rows = len(next(iter(inputs.values())))
    if not rows or probabilities.shape != (rows, len(labels)):
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            f"{rows} rows with probabilities of shape {list(probabilities.shape)} for {len(labels)} labels",
        )
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    shares = np.bincount(predicted, minlength=len(labels)) / rows
    return Reference(
        rows=rows,
        features=_features(inputs, rows, signature, vocabulary),
        classes={label: float(share) for label, share in zip(labels, shares, strict=True)},
        confidence=_confidence(confidence),
        accuracy=None,
        vocabulary=vocabulary,
    )


def _features(
    inputs: Tensors, rows: int, signature: Signature, vocabulary: frozenset[int]
) -> Mapping[str, Spread | Categories]:
    extractor = FeatureExtractor.of(signature, vocabulary)
    if extractor is None:
        return {}
    measured = [
        extractor.measure({name: array[start : start + _BATCH_ROWS] for name, array in inputs.items()})
        for start in range(0, rows, _BATCH_ROWS)
    ]
    columns = zip(extractor.names, np.concatenate(measured).T, strict=True)
    return {
        feature: _categories_of(column, extractor.categories[feature])
        if feature in extractor.categories
        else _spread_of(column)
        for feature, column in columns
        if np.isfinite(column).any()
    }


def _categories_of(column: NDArray[np.float32], categories: Sequence[str]) -> Categories:
    codes = column[np.isfinite(column)].astype(np.int64)
    counts = np.bincount(codes, minlength=len(categories)).tolist()
    return Categories(
        shares={category: count / len(codes) for category, count in zip(categories, counts, strict=True) if count},
        null_share=1 - len(codes) / len(column),
    )


def _spread_of(column: NDArray[np.float32]) -> Spread:
    finite = column[np.isfinite(column)]
    return Spread(quantiles=_quantiles(finite), null_share=1 - len(finite) / len(column))


def _confidence(values: NDArray[np.float32]) -> Confidence:
    counts, _ = np.histogram(values.clip(0, 1), bins=_BINS, range=(0, 1))
    return Confidence(
        mean=float(values.mean(dtype=np.float64)),
        std=float(values.std(dtype=np.float64)),
        quantiles=_quantiles(values),
        histogram=tuple(float(count) for count in counts / len(values)),
    )


def _quantiles(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Values that occur, not ones between them: where a column has but a few, rows must be able to equal a quantile."""
    return np.asarray(np.quantile(values, _PROBABILITIES, method="inverted_cdf"), np.float32)


def _spread(spread: Spread | Categories) -> dict[str, Any]:
    if isinstance(spread, Categories):
        return {"shares": dict(spread.shares), "null_share": spread.null_share}
    return {"quantiles": _short(spread.quantiles), "null_share": spread.null_share}


def _short(values: NDArray[np.float32]) -> list[float]:
    return [float(str(value)) for value in values]


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
