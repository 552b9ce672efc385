"""From what a program has at hand to tensors; what a server takes is in `tests/clients`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fairlead.client.inputs import tensors_of
from fairlead.client.question import ModelMetadata
from fairlead.errors import Code, FairleadError
from fairlead.servable.signature import TensorSpec


def taking(*specs: tuple[str, str, tuple[int, ...]]) -> ModelMetadata:
    """A model with these inputs."""
    inputs = tuple(TensorSpec(name=name, dtype=dtype, shape=shape) for name, dtype, shape in specs)
    return ModelMetadata(name="m", versions=(1,), platform="", inputs=inputs, outputs=())


def only(dtype: str, shape: tuple[int, ...] = (-1,)) -> ModelMetadata:
    """A model of one input."""
    return taking(("x", dtype, shape))


@pytest.mark.parametrize(
    ("dtype", "given", "want"),
    [
        ("uint8", [0, 255], [0, 255]),
        ("int64", np.array([1], np.uint8), [1]),
        ("float32", [1, 2], [1, 2]),
        ("float32", np.array([1.5], ">f8"), [1.5]),
        ("float16", [0.1], [0.0999755859375]),
        ("bool", [True], [True]),
        ("string", "one", ["one"]),
        ("string", ["one", b"\xff"], ["one", b"\xff"]),
        ("string", np.array(["a", "b"]), ["a", "b"]),
    ],
    ids=repr,
)
def test_values_become_the_models_dtype(dtype: str, given: Any, want: list[Any]) -> None:
    """Precision may be lost, and nothing else."""
    (array,) = tensors_of(given, only(dtype)).values()

    assert array.dtype == only(dtype).inputs[0].numpy_dtype
    assert array.tolist() == want


@pytest.mark.parametrize(
    ("dtype", "given", "said"),
    [
        ("uint8", [256], "a number that uint8 cannot hold"),
        ("uint8", [-1], "a number that uint8 cannot hold"),
        ("int32", [2**31], "a number that int32 cannot hold"),
        ("int64", [1.5], "is float64, and the model takes int64"),
        ("float32", [1e39], "a number that float32 cannot hold"),
        ("float32", ["1"], "is <U1, and the model takes float32"),
        ("float32", [[1], [2, 3]], "is no array"),
        ("bool", [1], "is int64, and the model takes bool"),
        ("string", [1], "takes texts, not int"),
        ("string", [None], "takes texts, not NoneType"),
    ],
    ids=repr,
)
def test_what_would_change_is_refused(dtype: str, given: Any, said: str) -> None:
    """Before anything is sent."""
    with pytest.raises(FairleadError, match=said) as caught:
        tensors_of(given, only(dtype))

    assert caught.value.code is Code.INVALID_ARGUMENT


def test_one_value_a_row_may_have_an_axis_of_its_own() -> None:
    """Frameworks write columns so."""
    metadata = taking(("age", "float32", (-1, 1)), ("kind", "string", (-1, 1)))

    cells: list[dict[str, Any]] = [{"age": 1, "kind": "a"}, {"age": None, "kind": float("nan")}]

    rows = tensors_of(cells, metadata)

    assert {name: array.shape for name, array in rows.items()} == {"age": (2, 1), "kind": (2, 1)}
    assert rows["kind"].ravel().tolist() == ["a", ""]
    assert tensors_of(["a", "b"], only("string", (-1, 1)))["x"].shape == (2, 1)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([{"age": 1, "kind": "a"}, {"age": 1}], "row 1: 'kind' is not there"),
        ([{"age": 1, "kind": "a", "pay": 2}], "row 0: model 'm' takes no 'pay'"),
        ([{"age": None, "kind": "a"}], "column 'age' is missing in a row"),
        ({"age": [1], "kind": ["a"], "pay": [2]}, "inputs: model 'm' takes no 'pay'"),
        ([1, 2], "model 'm' takes 2 inputs: age, kind"),
    ],
    ids=repr,
)
def test_names_have_to_fit(given: Any, said: str) -> None:
    """A misspelt one is not a missing value."""
    with pytest.raises(FairleadError, match=said):
        tensors_of(given, taking(("age", "int64", (-1,)), ("kind", "string", (-1,))))
