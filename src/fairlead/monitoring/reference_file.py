"""What a version looked like when it was judged, read from its `reference.json`."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fairlead.errors import Code, FairleadError
from fairlead.monitoring.drift.reference import CategoricalReference, NumericReference
from fairlead.monitoring.estimate import Calibration

__all__ = ["CONFIDENCE", "PREDICTED", "REFERENCE_FILE", "ReferenceFile"]

REFERENCE_FILE = "reference.json"
PREDICTED, CONFIDENCE = "predicted", "confidence"
"""What the model's own outputs are called as features: its class, and the largest output."""

_SCHEMA_VERSIONS = (1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceFile:
    """The values that monitoring takes from `reference.json`; `training.reference` says how the file is written.

    Attributes:
        features: of the input rows, as `servable.features` measures them.
        predicted: the class, by label.
        confidence: the largest output.
        accuracy: on the rows described; None where nobody knew the truth of them.
        calibration: what accuracy without labels is estimated by; None when the file is of schema version 1, or there
            is no accuracy.
        vocabulary: what the feature extractor needs to know of the words; empty where there are none.
    """

    features: tuple[NumericReference | CategoricalReference, ...]
    predicted: CategoricalReference
    confidence: NumericReference
    accuracy: float | None
    calibration: Calibration | None
    vocabulary: frozenset[int]

    def references(self, measured: Collection[str]) -> tuple[NumericReference | CategoricalReference, ...]:
        """All that drift is judged by: those of the features that are `measured`, the predicted class, the confidence.

        A file of schema version 1 has features that are not measured any more of rows that are no pictures.
        """
        features = (reference for reference in self.features if reference.name in measured)
        return (*features, self.predicted, self.confidence)

    @staticmethod
    def read(path: Path) -> ReferenceFile:
        """Read the file.

        Raises:
            FairleadError: NOT_FOUND when there is none, else as `decode`.
        """
        try:
            data = path.read_bytes()
        except OSError as error:
            raise FairleadError(
                Code.NOT_FOUND,
                f"there is no reference at {path} ({error.strerror}): drift cannot be told",
                hint="versions that `fairlead train` publishes have one, and classifiers of `fairlead.publish`",
            ) from error
        return ReferenceFile.decode(data, str(path))

    @staticmethod
    def decode(data: bytes, where: str = REFERENCE_FILE) -> ReferenceFile:
        """Read the bytes of `reference.json`; `where` names it in errors.

        Raises:
            FairleadError: DATA_LOSS when it is no reference, FAILED_PRECONDITION when a newer Fairlead wrote it.
        """
        try:
            body = json.loads(data)
            schema = body["schema_version"]
            reference = _from_json(body) if schema in _SCHEMA_VERSIONS else None
        except FairleadError as error:
            raise FairleadError(Code.DATA_LOSS, f"{where} is not a reference: {error.message}") from error
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise FairleadError(
                Code.DATA_LOSS, f"{where} is not a reference: {type(error).__name__}: {error}"
            ) from error
        if reference is None:
            raise FairleadError(
                Code.FAILED_PRECONDITION,
                f"{where} has schema version {schema!r}; this Fairlead reads {_SCHEMA_VERSIONS[-1]}",
                hint="pip install --upgrade fairlead",
            )
        return reference


def _from_json(body: Mapping[str, Any]) -> ReferenceFile:
    rows, confidence = int(body["rows"]), body["confidence"]
    is_first = body["schema_version"] == 1
    spreads = {name: {"quantiles": deciles} for name, deciles in body["input"]["deciles"].items()} if is_first else None
    features = tuple(_feature(name, spread, rows) for name, spread in (spreads or body["features"]).items())
    quantiles = confidence["deciles" if is_first else "quantiles"]
    return ReferenceFile(
        features=features,
        predicted=CategoricalReference(
            name=PREDICTED, shares={str(label): float(share) for label, share in body["classes"].items()}, rows=rows
        ),
        confidence=_numeric(CONFIDENCE, {"quantiles": quantiles}, rows),
        accuracy=None if body["accuracy"] is None else float(body["accuracy"]),
        calibration=None if is_first or body["accuracy"] is None else _calibration(body, features),
        vocabulary=frozenset(int(number) for number in body.get("vocabulary", ())),
    )


def _feature(name: str, spread: Mapping[str, Any], rows: int) -> NumericReference | CategoricalReference:
    if "shares" not in spread:
        return _numeric(name, spread, rows)
    return CategoricalReference(
        name=str(name),
        shares={str(category): float(share) for category, share in spread["shares"].items()},
        rows=rows,
        null_share=float(spread["null_share"]),
    )


def _numeric(name: str, spread: Mapping[str, Any], rows: int) -> NumericReference:
    return NumericReference(
        name=str(name),
        quantiles=_numbers(spread["quantiles"]),
        rows=rows,
        null_share=float(spread.get("null_share", 0.0)),
    )


def _numbers(values: Sequence[float]) -> tuple[float, ...]:
    """The float32 that each text stands for: features are float32 too, and equal ones must compare as equal."""
    return tuple(np.array(values, np.float32).astype(np.float64).tolist())


def _calibration(body: Mapping[str, Any], features: tuple[NumericReference | CategoricalReference, ...]) -> Calibration:
    return Calibration(
        rows=int(body["rows"]),
        accuracy=float(body["accuracy"]),
        mean_confidence=float(body["confidence"]["mean"]),
        std_confidence=float(body["confidence"]["std"]),
        features=tuple(feature for feature in features if isinstance(feature, NumericReference)),
    )
