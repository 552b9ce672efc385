"""The best classes as the classification extension writes them."""

import struct
from typing import Any

import numpy as np
import pytest
from tests.transport.conftest import Client
from tests.transport.v2_requests import infer, split, tensor

from fairlead.servable.signature import TensorSpec
from fairlead.transport.v2.classification import classify


def best(values: Any, dtype: str, shape: tuple[int, ...], classes: int, labels: tuple[str, ...] = ()) -> Any:
    """The ranking as nested lists."""
    array = np.array(values, dtype)
    return classify(array, TensorSpec(name="y", dtype=dtype, shape=shape), classes, labels).tolist()


def test_values_have_six_decimals() -> None:
    """Floats are written without an exponent, integers plain."""
    row = [[3.3, 1e10, 1e-9, -2.5]]
    assert best(row, "float64", (-1, 4), 9) == [["10000000000.000000:1", "3.300000:0", "0.000000:2", "-2.500000:3"]]
    assert best([[3, -7, 5]], "int32", (-1, 3), 2) == [["5:2", "3:0"]]


def test_labels_are_added_when_there_is_one_for_each_class() -> None:
    """Labels of another number belong to another output."""
    assert best([[0.25, 0.75]], "float32", (-1, 2), 1, ("no", "yes")) == [["0.750000:1:yes"]]
    assert best([[0.25, 0.75]], "float32", (-1, 2), 1, ("no",)) == [["0.750000:1"]]


def test_equals_keep_their_order() -> None:
    """Of equal values the lower index comes first, and NaN comes last."""
    assert best([[1, 2, 2, 1]], "float32", (-1, 4), 4) == [["2.000000:1", "2.000000:2", "1.000000:0", "1.000000:3"]]
    assert best([[np.nan, 2]], "float32", (-1, 2), 2) == [["2.000000:1", "nan:0"]]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "uint64"])
def test_the_ends_of_integers_are_in_order(dtype: str) -> None:
    """The lowest and the highest number of a type are ranked like any other."""
    bounds = np.iinfo(dtype)
    assert best([[bounds.min, bounds.max, 1]], dtype, (-1, 3), 3) == [[f"{bounds.max}:1", "1:2", f"{bounds.min}:0"]]


def test_axes_behind_the_batch_are_one_ranking() -> None:
    """A row's values are ranked together; without a batch there is one ranking."""
    assert best([[[1, 2], [3, 4]]], "int32", (-1, 2, 2), 2) == [["4:3", "3:2"]]
    assert best([1, 3, 2], "int32", (3,), 2) == ["3:1", "2:2"]


def test_over_the_wire(client: Client) -> None:
    """The output becomes BYTES of shape rows by classes, in JSON or in bytes."""
    image = tensor("image", "FP32", [2, 28, 28, 1], [0.5] * 784 * 2)
    asked: dict[str, Any] = {"name": "probs", "parameters": {"classification": 3}}
    (output,) = infer(client, "digits", {"inputs": [image], "outputs": [asked]}).json()["outputs"]
    assert (output["datatype"], output["shape"]) == ("BYTES", [2, 3])
    assert output["data"][:3] == ["0.100000:0:0", "0.100000:1:1", "0.100000:2:2"]

    asked["parameters"] |= {"binary_data": True}
    document, blobs = split(infer(client, "digits", {"inputs": [image], "outputs": [asked]}))
    assert document["outputs"][0]["datatype"] == "BYTES"
    assert blobs["probs"].startswith(struct.pack("<I", 12) + b"0.100000:0:0")


def test_no_classes_means_the_tensor(client: Client) -> None:
    """Zero classes are no classification."""
    wanted = [{"name": "y", "parameters": {"classification": 0}}]
    request = {"inputs": [tensor("x", "FP32", [1, 1], [1])], "outputs": wanted}
    assert infer(client, "echo", request).json()["outputs"][0]["datatype"] == "FP32"


@pytest.mark.parametrize(("dtype", "datatype", "value"), [("string", "BYTES", "a"), ("bool", "BOOL", True)])
def test_what_has_no_order_is_refused(client: Client, dtype: str, datatype: str, value: Any) -> None:
    """Words and truths have no best."""
    wanted = [{"name": "y", "parameters": {"classification": 1}}]
    request = {"inputs": [tensor("x", datatype, [1, 1], [value])], "outputs": wanted}
    answer = infer(client, f"same-{dtype}", request)
    assert answer.status == 400
    assert "class result not available" in answer.error


def test_an_output_without_values(client: Client) -> None:
    """Rows without values have no best classes."""
    wanted = [{"name": "y", "parameters": {"classification": 2}}]
    request = {"inputs": [tensor("x", "FP32", [3, 0], [])], "outputs": wanted}
    (output,) = infer(client, "echo", request).json()["outputs"]
    assert (output["shape"], output["data"]) == ([3, 0], [])
