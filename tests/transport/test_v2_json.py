"""Lists of JSON values as tensors, nested any way."""

from typing import Any

import numpy as np
import pytest
from tests.transport.conftest import Client
from tests.transport.fakes import DTYPES
from tests.transport.v2_requests import infer, tensor

from fairlead.errors import FairleadError
from fairlead.servable.signature import TensorSpec
from fairlead.transport.v2.datatype import DATATYPES
from fairlead.transport.v2.values import from_values, to_json

DEEP: list[Any] = [4]
for _ in range(900):
    DEEP = [DEEP]


def values(dtype: str, shape: tuple[int, ...], data: list[Any]) -> Any:
    """The tensor as nested lists."""
    return from_values(TensorSpec(name="x", dtype=dtype, shape=shape), shape, data).tolist()


@pytest.mark.parametrize(
    "data", [[1, 2, 3, 4], [[1, 2], [3, 4]], [[[1, 2, 3, 4]]], [1, [2, [3]], 4], [[1, 2, 3], 4], [[], 1, [2, 3], DEEP]]
)
def test_nesting_does_not_matter(data: list[Any]) -> None:
    """Only the order and the number of the values count, as in Triton."""
    assert values("float32", (2, 2), data) == [[1.0, 2.0], [3.0, 4.0]]


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [("int8", -128, 127), ("uint8", 0, 255), ("int64", -(2**63), 2**63 - 1), ("uint64", 0, 2**64 - 1)],
)  # fmt: skip
def test_integers_keep_to_their_range(dtype: str, low: int, high: int) -> None:
    """The bounds are taken and what is beyond them is refused, never cut."""
    assert values(dtype, (2,), [low, high]) == [low, high]
    for beyond in (low - 1, high + 1):
        with pytest.raises(FairleadError, match=f"{beyond} is no {DATATYPES[dtype]}"):
            values(dtype, (2,), [0, beyond])


@pytest.mark.parametrize(
    ("dtype", "value"),
    [("int32", 1.0), ("int32", True), ("int32", "1"), ("bool", 1), ("bool", "true"), ("string", 1), ("string", None),
     ("float32", "1"), ("float32", False), ("float64", {}), ("string", {"b64": "AA=="})],
)  # fmt: skip
def test_nothing_is_coerced(dtype: str, value: Any) -> None:
    """A value of another type is refused and shown."""
    with pytest.raises(FairleadError, match=f"is no {DATATYPES[dtype]}"):
        values(dtype, (1,), [value])


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type_goes_through(client: Client, dtype: str) -> None:
    """Every dtype of a signature can be sent and is answered in JSON."""
    data = {"bool": [True, False], "string": ["a", "é"]}.get(dtype, [1, 2])
    answer = infer(client, f"same-{dtype}", {"inputs": [tensor("x", DATATYPES[dtype], [1, 2], data)]})
    assert answer.json()["outputs"] == [{"name": "y", "datatype": DATATYPES[dtype], "shape": [1, 2], "data": data}]


def test_data_is_flat() -> None:
    """An answer's data is one list, whatever the layout in memory."""
    assert to_json(np.arange(6).reshape(2, 3).T) == b"[0,3,1,4,2,5]"
    assert to_json(np.array(2.5)) == b"[2.5]"
    assert to_json(np.array([["a", b"b\xff"]], object)) == '["a","b\ufffd"]'.encode()
