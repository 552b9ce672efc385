"""What reference.json says."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from fairlead.errors import FairleadError
from fairlead.servable.features import FeatureExtractor
from fairlead.servable.signature import Signature, TensorSpec
from fairlead.training.dataset import Rows
from fairlead.training.reference import describe

LABELS = ("no", "yes")


def signature(*shape: int) -> Signature:
    """A model of rows of this shape, with two classes."""
    return Signature(
        inputs=(TensorSpec(name="row", dtype="float32", shape=(-1, *shape)),),
        outputs=(TensorSpec(name="probs", dtype="float32", shape=(-1, 2)),),
    )


def example() -> tuple[Rows, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    """Four rows of two values, three of them predicted right."""
    inputs = np.array([[0, 0], [0, 1], [1, 1], [0, 1]], np.float32)
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.0, 1.0], [0.6, 0.4]], np.float32)
    return Rows(inputs=inputs, labels=np.array([0, 1, 1, 1])), probabilities


def decoded(rows: Rows, probabilities: Any, **options: Any) -> Any:
    """The JSON that the file holds."""
    return json.loads(describe(rows, probabilities, LABELS, signature(*rows.inputs.shape[1:]), **options).encode())


def test_reference_describes_inputs_outputs_and_quality() -> None:
    """The figures are those of the rows: features, shares, confidence and accuracy."""
    body = decoded(*example())

    assert (body["schema_version"], body["rows"], body["accuracy"]) == (2, 4, 0.75)
    assert body["classes"] == {"no": 0.5, "yes": 0.5}
    assert list(body["features"]) == ["x0", "x1"]
    assert (body["features"]["x0"]["quantiles"][0], body["features"]["x0"]["quantiles"][-1]) == (0.0, 1.0)
    assert body["features"]["x1"]["quantiles"][100] == 1.0
    assert (body["confidence"]["mean"], body["confidence"]["std"]) == pytest.approx((0.825, 0.14790199))


def test_every_list_has_its_promised_length() -> None:
    """Quantiles are 201 numbers that never fall; the histogram is twenty shares that sum to one."""
    body = decoded(*example())

    for spread in [*body["features"].values(), body["confidence"]]:
        assert len(spread["quantiles"]) == 201
        assert spread["quantiles"] == sorted(spread["quantiles"])
    assert len(body["confidence"]["histogram"]) == 20
    assert sum(body["confidence"]["histogram"]) == pytest.approx(1.0)


def test_features_are_those_that_serving_measures() -> None:
    """The quantiles' ends are the least and the greatest of what the extractor of the same signature gives."""
    generator = np.random.default_rng(0)
    pictures = Rows(inputs=generator.random((300, 9, 9), np.float32), labels=np.zeros(300, np.int64))
    extractor = FeatureExtractor.of(signature(9, 9))
    assert extractor is not None

    features = decoded(pictures, np.full((300, 2), 0.5, np.float32))["features"]

    assert tuple(features) == extractor.names
    measured = extractor.measure({"row": pictures.inputs})
    for column, spread in zip(measured.T, features.values(), strict=True):
        ends = (spread["quantiles"][0], spread["quantiles"][-1])
        assert ends == pytest.approx((column.min(), column.max()), rel=1e-5)


def test_a_number_is_the_shortest_text_of_its_float32() -> None:
    """A reader gets the very float32 back, and the file stays small: under 20 characters a number."""
    values = np.random.default_rng(0).normal(size=201).astype(np.float32)
    rows = Rows(inputs=values[:, np.newaxis], labels=np.zeros(201, np.int64))

    quantiles = decoded(rows, np.full((201, 2), 0.5, np.float32))["features"]["row"]["quantiles"]

    np.testing.assert_array_equal(np.array(quantiles, np.float32), np.sort(values))
    assert max(len(str(quantile)) for quantile in quantiles) < 20


def test_rows_without_a_feature_are_counted() -> None:
    """Quantiles are over the rows that have the feature; one that no row has is left out."""
    rows, probabilities = example()
    rows.inputs[0, 0], rows.inputs[:, 1] = np.nan, np.inf

    features = decoded(rows, probabilities)["features"]

    assert list(features) == ["x0"]
    assert (features["x0"]["null_share"], features["x0"]["quantiles"][-1]) == (0.25, 1.0)


def test_a_model_whose_rows_have_no_features_still_has_a_reference() -> None:
    """Classes, confidence and accuracy are described all the same."""
    rows, probabilities = example()
    unranked = Signature(
        inputs=(TensorSpec(name="row", dtype="float32", shape=(), is_unranked=True),), outputs=signature(2).outputs
    )

    body = json.loads(describe(rows, probabilities, LABELS, unranked).encode())

    assert (body["features"], body["accuracy"]) == ({}, 0.75)


def test_a_vocabulary_is_kept_as_numbers() -> None:
    """Where there is none the file does not mention it."""
    assert decoded(*example(), vocabulary=frozenset({7, 5}))["vocabulary"] == [5, 7]
    assert "vocabulary" not in decoded(*example())


def test_reference_of_nothing_is_refused() -> None:
    """There is nothing to describe without rows, or with outputs of another number of classes."""
    rows, probabilities = example()
    with pytest.raises(FairleadError, match="0 rows"):
        describe(rows.take(np.array([], np.int64)), probabilities[:0], LABELS, signature(2))
    with pytest.raises(FairleadError, match="3 labels"):
        describe(rows, probabilities, ("a", "b", "c"), signature(2))
