"""Fairlead's own client: one contract for threads and event loops, over REST and gRPC."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tests.cli.conftest import Server
from tests.clients.callers import KINDS, SCHEMES, Caller, url_of
from tests.clients.models import KINDS as ARRAYS
from tests.clients.models import MIXED, MIXED_ANSWER, check_tensor

from fairlead.client.question import ModelVersion
from fairlead.errors import Code

IMAGE = np.zeros((2, 28, 28, 1), np.float32)


@pytest.fixture(scope="module", params=SCHEMES)
def scheme(request: pytest.FixtureRequest) -> str:
    """What is spoken."""
    return str(request.param)


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> type[Any]:
    """Which of the clients."""
    return KINDS[str(request.param)]


@pytest.fixture(scope="module")
def caller(server: Server, kind: type[Any], scheme: str) -> Iterator[Caller]:
    """A client of the server."""
    with Caller(kind, url_of(server, scheme)) as made:
        yield made


def test_an_array_is_the_only_input(caller: Caller) -> None:
    """The answer says who gave it, and has an id for each row."""
    prediction = caller.predict("digits", IMAGE, request_id="mine")

    assert (prediction.model, prediction.version, prediction.request_id) == ("digits", 2, "mine")
    assert prediction.outputs.keys() == {"probs"}
    assert prediction.output.argmax(axis=1).tolist() == [7, 7]
    assert prediction.labels == ("7", "7")
    first, second = prediction.ids
    assert (first.endswith(".0"), second.endswith(".1")) == (True, True)
    (alone,) = caller.predict("digits", IMAGE[:1]).ids
    assert "." not in alone


@pytest.mark.parametrize("values", [[1, 2.5], (1, 2.5), np.array([1, 2.5]), np.array([1, 2.5], ">f8")], ids=repr)
def test_numbers_become_what_the_model_takes(caller: Caller, values: Any) -> None:
    """Lists and arrays of other precision are converted."""
    prediction = caller.predict("half_plus_two", values)

    check_tensor(prediction.output, np.array([2.5, 3.25], np.float32))
    assert prediction.labels == ()


def test_tensors_of_every_dtype_come_back_as_they_went(caller: Caller) -> None:
    """To the last bit, with every input and output under its name."""
    prediction = caller.predict("kinds", {f"x_{dtype}": array for dtype, array in ARRAYS.items()})

    for dtype, array in ARRAYS.items():
        check_tensor(prediction.outputs[f"y_{dtype}"], array.ravel() if array.dtype == object else array)


def test_inputs_have_names(caller: Caller) -> None:
    """Each becomes what its own input takes; texts are texts."""
    prediction = caller.predict("mixed", {name: array.tolist() for name, array in MIXED.items()})

    for name, array in MIXED_ANSWER.items():
        check_tensor(prediction.outputs[name], array)


def test_rows_have_columns(caller: Caller) -> None:
    """In any order, and None stands for a value that is missing."""
    rows = [
        {"age": 39, "pay": 1.5, "kind": "fancy"},
        {"kind": None, "pay": None, "age": 40},
        {"age": 41, "pay": 2, "kind": "plain"},
    ]
    outputs = caller.predict("table", rows).outputs

    assert outputs["same_age"].tolist() == [39, 40, 41]
    np.testing.assert_array_equal(outputs["same_pay"], np.array([1.5, np.nan, 2], np.float32))
    assert outputs["same_kind"].tolist() == ["fancy", "", "plain"]


def test_a_row_may_hold_a_vector(caller: Caller) -> None:
    """Where a column is one."""
    rows = [{name: array[row] for name, array in MIXED.items()} for row in range(3)]

    check_tensor(caller.predict("mixed", rows).outputs["total"], MIXED_ANSWER["total"])


def test_a_version_may_be_asked_for(caller: Caller) -> None:
    """By its number, or by a label."""
    assert caller.predict("digits", IMAGE, version=1).output.argmax(axis=1).tolist() == [3, 3]
    assert caller.predict("digits", IMAGE, label="previous").version == 1
    assert caller.predict("digits", IMAGE, label="stable").version == 2
    assert caller.predict("digits", IMAGE, sticky_key="ann").version == 2
    assert caller.call("metadata", "digits", label="previous").versions in {(1,), (1, 2)}


def test_models_say_what_they_take(caller: Caller) -> None:
    """Dtypes have NumPy's names, and an axis of any length is -1."""
    metadata = caller.call("metadata", "digits")
    (spec,), (output,) = metadata.inputs, metadata.outputs

    assert (metadata.name, metadata.versions) == ("digits", (1, 2))
    assert (spec.name, spec.dtype, spec.shape) == ("image", "float32", (-1, 28, 28, 1))
    assert (output.name, output.dtype, output.shape) == ("probs", "float32", (-1, 10))
    assert metadata.classes == tuple("0123456789")
    models = caller.call("models")
    assert ModelVersion(model="digits", version=1, state="READY") in models
    assert {version.model for version in models} >= {"mixed", "table"}


def test_readiness_is_told(caller: Caller) -> None:
    """Of the server, of a model, and of a version; a model that nobody knows is an error."""
    assert caller.call("is_ready") is True
    assert caller.call("is_ready", "digits") is True
    assert caller.call("is_ready", "digits", version=1) is True
    assert caller.call("is_ready", "digits", label="previous") is True
    assert caller.refused("is_ready", "nope").code is Code.NOT_FOUND


@pytest.mark.parametrize(
    ("arguments", "named", "code", "said", "hint"),
    [
        (("nope", IMAGE), {}, Code.NOT_FOUND, "Request for unknown model: 'nope' is not found", "lists the models"),
        (("digits", IMAGE), {"version": 9}, Code.NOT_FOUND, "'digits' version 9 is not found", "lists the models"),
        (
            ("digits", IMAGE),
            {"label": "nope"},
            Code.NOT_FOUND,
            "digits has no label 'nope'; it has previous, stable",
            "",
        ),
        (("digits", IMAGE[:, :27]), {}, Code.INVALID_ARGUMENT, "Expected [-1,28,28,1], got [2,27,28,1]", ""),
        (("table", [{"age": 250, "pay": 1, "kind": "plain"}]), {}, Code.INVALID_ARGUMENT, "column 'age' is 250", ""),
        (("table", [{"age": 39, "pay": 1}]), {}, Code.INVALID_ARGUMENT, "row 0: 'kind' is not there", "None stands"),
        (("table", {"age": [1], "x": [1]}), {}, Code.INVALID_ARGUMENT, "'pay' is not there", "None stands"),
        (("mixed", [1, 2]), {}, Code.INVALID_ARGUMENT, "takes 4 inputs: weights, count, flag, text", "by name"),
        (("digits", IMAGE), {"version": 1, "label": "x"}, Code.INVALID_ARGUMENT, "both given", "leave one"),
        (("digits", IMAGE), {"deadline_s": 0}, Code.INVALID_ARGUMENT, "0 is no time to wait", "above 0"),
        (("slow", [1500]), {"deadline_s": 0.1}, Code.DEADLINE_EXCEEDED, "", ""),
    ],
    ids=lambda value: str(value)[:20],
)
def test_errors_have_code_sentence_and_hint(
    caller: Caller, arguments: tuple[Any, ...], named: dict[str, Any], code: Code, said: str, hint: str
) -> None:
    """Those of the server, each in a field of its own, and those that the client finds before it asks."""
    error = caller.refused("predict", *arguments, **named)

    assert error.code is code
    assert said in error.message
    assert hint in error.hint
    assert not error.hint or error.hint not in error.message
