"""What inputs, outputs and quality looked like at training time: `reference.json`. Drift is measured against it.

The file is a JSON object:

    schema_version   1
    rows             how many held-out rows it describes
    input            {"mean": number, "std": number, "deciles": {QUANTITY: [11 numbers]}}
                     QUANTITY is measured on every row: "mean" and "std" of its values, "ink" the share above one half
    classes          {LABEL: share of the rows that the model gave this class}
    confidence       {"deciles": [11 numbers], "histogram": [20 shares]} of the largest probability of each row;
                     the histogram has 20 bins of equal width over 0..1
    accuracy         share of the rows that the model gave the true class

Deciles run from the minimum over nine inner ones to the maximum.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.errors import Code, FairleadError
from fairlead.training.dataset import Rows

__all__ = ["REFERENCE_FILE", "SCHEMA_VERSION", "Reference", "describe"]

REFERENCE_FILE = "reference.json"
SCHEMA_VERSION = 1
_BINS = 20
_INK = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The content of `reference.json`; the module says what each field means."""

    rows: int
    input: Mapping[str, Any]
    classes: Mapping[str, float]
    confidence: Mapping[str, Sequence[float]]
    accuracy: float

    def encode(self) -> bytes:
        """The bytes of `reference.json`."""
        body = {"schema_version": SCHEMA_VERSION, **asdict(self)}
        return json.dumps(body, indent=2, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def describe(rows: Rows, probabilities: NDArray[np.float32], labels: Sequence[str]) -> Reference:
    """Describe held-out rows and what the model said of them.

    Args:
        rows: at least one row; inputs float32 [n, ...].
        probabilities: float32 [n, k], finite.
        labels: the names of the k classes.

    Raises:
        FairleadError: INVALID_ARGUMENT when there are no rows or the shapes do not fit.
    """
    if not len(rows) or probabilities.shape != (len(rows), len(labels)):
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            f"{len(rows)} rows with probabilities of shape {list(probabilities.shape)} for {len(labels)} labels",
        )
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    shares = np.bincount(predicted, minlength=len(labels)) / len(rows)
    return Reference(
        rows=len(rows),
        input=_describe_inputs(rows.inputs.reshape(len(rows), -1)),
        classes={label: float(share) for label, share in zip(labels, shares, strict=True)},
        confidence={"deciles": _deciles(confidence), "histogram": _histogram(confidence)},
        accuracy=float((predicted == rows.labels).mean()),
    )


def _describe_inputs(flat: NDArray[np.float32]) -> Mapping[str, Any]:
    quantities = {
        "mean": flat.mean(axis=1, dtype=np.float64),
        "std": flat.std(axis=1, dtype=np.float64),
        "ink": (flat > _INK).mean(axis=1),
    }
    return {
        "mean": float(flat.mean(dtype=np.float64)),
        "std": float(flat.std(dtype=np.float64)),
        "deciles": {name: _deciles(values) for name, values in quantities.items()},
    }


def _deciles(values: NDArray[Any]) -> list[float]:
    return [float(value) for value in np.quantile(values.astype(np.float64), np.linspace(0, 1, 11))]


def _histogram(confidence: NDArray[np.float32]) -> list[float]:
    counts, _ = np.histogram(confidence.clip(0, 1), bins=_BINS, range=(0, 1))
    return [float(count) for count in counts / len(confidence)]
