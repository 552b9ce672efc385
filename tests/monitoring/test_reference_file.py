"""What monitoring reads from reference.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairlead.errors import Code, FairleadError
from fairlead.monitoring.drift.reference import CategoricalReference, Column, NumericReference
from fairlead.monitoring.drift.window import DriftState, judge_window
from fairlead.monitoring.reference_file import CONFIDENCE, PREDICTED, ReferenceFile
from fairlead.servable import column
from fairlead.servable.signature import Signature, TensorSpec
from fairlead.training.dataset import Rows
from fairlead.training.reference import describe, describe_answers

LABELS = ("no", "yes")
SIGNATURE = Signature(
    inputs=(TensorSpec(name="age", dtype="float32", shape=(-1,)),),
    outputs=(TensorSpec(name="probs", dtype="float32", shape=(-1, 2)),),
)


def written(rows: int = 1000) -> bytes:
    """A file as training writes it: ages that are tenths, and a model that is rather sure of itself."""
    generator = np.random.default_rng(0)
    ages = (generator.integers(0, 11, rows) / 10).astype(np.float32)
    yes = generator.random(rows, np.float32)
    probabilities = np.stack([1 - yes, yes], axis=1)
    labels = (generator.random(rows) < yes).astype(np.int64)
    return describe(
        Rows(inputs=ages, labels=labels), probabilities, LABELS, SIGNATURE, vocabulary=frozenset({3})
    ).encode()


def first() -> dict[str, Any]:
    """A file of schema version 1."""
    deciles = [round(0.1 * step, 1) for step in range(11)]
    return {
        "schema_version": 1,
        "rows": 300,
        "input": {"mean": 0.5, "std": 0.5, "deciles": {"mean": deciles, "std": deciles, "ink": deciles}},
        "classes": {"no": 0.25, "yes": 0.75},
        "confidence": {"deciles": deciles, "histogram": [0.05] * 20},
        "accuracy": 0.9,
    }


def test_what_training_wrote_is_read_back() -> None:
    """Features, classes, confidence, accuracy and vocabulary are those of the held-out rows."""
    reference = ReferenceFile.decode(written())

    (age,) = reference.features
    assert isinstance(age, NumericReference)
    assert (age.name, age.rows, len(age.quantiles), age.quantiles[0], age.quantiles[-1]) == ("age", 1000, 201, 0, 1)
    assert set(reference.predicted.shares) == {"no", "yes"}
    assert (reference.confidence.name, reference.predicted.name) == (CONFIDENCE, PREDICTED)
    assert 0.5 <= reference.confidence.quantiles[0] < reference.confidence.quantiles[-1] <= 1
    assert reference.vocabulary == {3}
    assert reference.calibration is not None
    assert (reference.calibration.accuracy, reference.calibration.features) == (reference.accuracy, reference.features)


def test_quantiles_are_equal_to_the_features_they_were_made_of() -> None:
    """A tenth in the file is the float32 nearest to it, as a measured tenth is, so that ties are ties."""
    (age,) = ReferenceFile.decode(written()).features

    assert isinstance(age, NumericReference)
    assert {float(np.float32(step / 10)) for step in range(11)} == set(age.quantiles)


def test_rows_like_those_described_do_not_drift() -> None:
    """A window of the same kind is quiet; one of another age has drifted, and says so by name."""
    reference = ReferenceFile.decode(written())
    generator = np.random.default_rng(1)
    ages = (generator.integers(0, 11, 600) / 10).astype(np.float32).astype(np.float64)
    yes = generator.random(600)
    window: dict[str, Column] = {
        "age": ages,
        PREDICTED: [LABELS[int(value > 0.5)] for value in yes],
        CONFIDENCE: np.maximum(yes, 1 - yes),
    }

    assert judge_window(reference.references(["age"]), window).state is DriftState.QUIET
    assert judge_window(reference.references(["age"]), {**window, "age": ages + 0.3}).drifted == ("age",)


def test_the_first_schema_is_still_read() -> None:
    """Deciles are quantiles too; accuracy without labels cannot be estimated from them."""
    reference = ReferenceFile.decode(json.dumps(first()).encode())

    assert [feature.name for feature in reference.features] == ["mean", "std", "ink"]
    assert isinstance(reference.features[0], NumericReference)
    assert len(reference.features[0].quantiles) == len(reference.confidence.quantiles) == 11
    assert reference.predicted.shares == {"no": 0.25, "yes": 0.75}
    assert (reference.accuracy, reference.calibration, reference.vocabulary) == (0.9, None, frozenset())


def test_only_what_is_measured_is_judged() -> None:
    """A reference for a feature that nobody measures any more is left out, or it would be missing in every row."""
    reference = ReferenceFile.decode(json.dumps(first()).encode())

    judged = reference.references(("mean", "std", "min", "max", "zeros"))

    assert [one.name for one in judged] == ["mean", "std", PREDICTED, CONFIDENCE]


def test_categories_are_told_by_their_names() -> None:
    """Their shares of the rows that have one; of rows whose truth nobody knows there is no accuracy to estimate by."""
    job = column.Column(categories=("Cook", "Clerk", "Pilot"), may_be_missing=True)
    signature = Signature(
        inputs=(TensorSpec(name="job", dtype="string", shape=(-1,), column=job), *SIGNATURE.inputs),
        outputs=SIGNATURE.outputs,
    )
    jobs = np.array(["Cook", "Clerk", "Cook", "Cook", *[""] * 4], object)
    inputs = {"job": jobs, "age": np.arange(8, dtype=np.float32)}
    answers = np.tile(np.array([[0.25, 0.75]], np.float32), (8, 1))
    reference = ReferenceFile.decode(describe_answers(inputs, answers, LABELS, signature).encode())

    assert reference.features[0] == CategoricalReference(
        name="job", shares={"Cook": 0.75, "Clerk": 0.25}, rows=8, null_share=0.5
    )
    assert (reference.accuracy, reference.calibration) == (None, None)


def test_a_file_is_read_from_its_path(tmp_path: Path) -> None:
    """An absent file is told apart from a damaged one, by its path."""
    path = tmp_path / "reference.json"
    with pytest.raises(FairleadError, match=r"reference\.json") as absent:
        ReferenceFile.read(path)
    path.write_bytes(written()[:-20])
    with pytest.raises(FairleadError, match=str(path)) as damaged:
        ReferenceFile.read(path)
    path.write_bytes(written())

    assert (absent.value.code, damaged.value.code) == (Code.NOT_FOUND, Code.DATA_LOSS)
    assert ReferenceFile.read(path) == ReferenceFile.decode(written())


@pytest.mark.parametrize(
    "change",
    [
        {"rows": 0},
        {"rows": "many"},
        {"classes": {"no": 0.2}},
        {"classes": [1]},
        {"accuracy": "good"},
        {"accuracy": 2},
        {"features": {"age": {"quantiles": [3, 2, 1]}}},
        {"features": {"age": {"null_share": 0}}},
        {"confidence": {}},
        {"vocabulary": ["word"]},
    ],
    ids=str,
)
def test_what_is_no_reference_is_refused(change: dict[str, Any]) -> None:
    """A field that is missing or cannot be is DATA_LOSS, whatever is wrong with it."""
    body = json.loads(written()) | change

    with pytest.raises(FairleadError, match="is not a reference") as caught:
        ReferenceFile.decode(json.dumps(body).encode())

    assert caught.value.code is Code.DATA_LOSS


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"null", b"\xff", b"[" * 100_000])
def test_bytes_that_are_no_json_object_are_refused(data: bytes) -> None:
    """Nothing but an object with a schema version is looked into."""
    with pytest.raises(FairleadError, match="is not a reference"):
        ReferenceFile.decode(data)


def test_a_newer_file_asks_for_a_newer_fairlead() -> None:
    """A schema version that is not known is not guessed at."""
    with pytest.raises(FairleadError, match="schema version 3") as caught:
        ReferenceFile.decode(json.dumps({"schema_version": 3}).encode())

    assert caught.value.code is Code.FAILED_PRECONDITION
