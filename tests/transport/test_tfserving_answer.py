"""Outputs are written as TensorFlow Serving's clients read them."""

import json

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import FairleadError
from fairlead.servable.signature import Array
from fairlead.transport.tfserving.answer import encode_outputs, encode_predictions


def test_floats_are_short_and_round_trip() -> None:
    """A float32 is written with the fewest digits that give it back, and whole numbers keep their point."""
    values = np.array([[0.1, 1 / 3, 2.0, -0.0, 555557.5, 1e-7]], np.float32)
    assert encode_predictions({"y": values}) == b'{"predictions":[[0.1,0.33333334,2.0,-0.0,555557.5,1e-7]]}'


@given(st.lists(st.floats(width=32), min_size=1))
def test_every_float32_round_trips(values: list[float]) -> None:
    """Whatever the model answers, NaN and infinities included, a client gets back bit for bit."""
    array = np.array([values], np.float32)
    (got,) = json.loads(encode_predictions({"y": array}))["predictions"]
    np.testing.assert_array_equal(np.array(got, np.float32), array[0])
    np.testing.assert_array_equal(np.signbit(got), np.signbit(array[0]) & ~np.isnan(array[0]))


def test_values_that_are_not_finite_are_bare_tokens() -> None:
    """NaN and infinities are written as TensorFlow Serving writes them, which strict JSON has no way to."""
    array = np.array([[np.nan, 1, np.inf], [-np.inf, 2, np.nan]], np.float64)
    assert encode_outputs({"y": array}) == b'{"outputs":[[NaN,1.0,Infinity],[-Infinity,2.0,NaN]]}'


def test_several_outputs_are_named() -> None:
    """Several outputs are one object a row, or one object of tensors."""
    outputs: dict[str, Array] = {"a": np.array([1, np.nan], np.float32), "b": np.array([[1, 2], [3, 4]], np.int64)}
    assert encode_predictions(outputs) == b'{"predictions":[{"a":1.0,"b":[1,2]},{"a":NaN,"b":[3,4]}]}'
    assert encode_outputs(outputs) == b'{"outputs":{"a":[1.0,NaN],"b":[[1,2],[3,4]]}}'


def test_several_outputs_of_strings() -> None:
    """Each row has its own text and its own bytes, whichever way the model gave them."""
    outputs = {
        "text": np.array([b"a", "\u00e9"], object),
        "raw_bytes": np.array([[b"\xff"], ["b"]], object),
        "n": np.array([1, 2], np.int32),
    }
    assert orjson.loads(encode_predictions(outputs)) == {
        "predictions": [
            {"text": "a", "raw_bytes": [{"b64": "/w=="}], "n": 1},
            {"text": "\u00e9", "raw_bytes": [{"b64": "Yg=="}], "n": 2},
        ]
    }
    assert orjson.loads(encode_outputs({"w": np.array(b"a", object)})) == {"outputs": "a"}
    assert encode_predictions({"w": np.empty((0, 2), object)}) == b'{"predictions":[]}'


def test_strings_and_bytes() -> None:
    """An output whose name ends in _bytes is base64, and any other string is text."""
    words = np.array(["a", "é"], dtype=object)
    raw = np.array([b"a", b"\xff"], dtype=object)
    assert orjson.loads(encode_outputs({"w": words})) == {"outputs": ["a", "é"]}
    assert orjson.loads(encode_predictions({"w": raw})) == {"predictions": ["a", "\ufffd"]}
    assert orjson.loads(encode_predictions({"w_bytes": raw})) == {"predictions": [{"b64": "YQ=="}, {"b64": "/w=="}]}
    assert orjson.loads(encode_outputs({"w_bytes": words})) == {"outputs": [{"b64": "YQ=="}, {"b64": "w6k="}]}


def test_strings_beside_other_outputs() -> None:
    """A row's string is the whole string, whatever stands beside it and whatever it ends with."""
    outputs: dict[str, Array] = {"w": np.array(["a\0"], object), "w_bytes": np.array([[b"a\0"]], object)}
    assert orjson.loads(encode_predictions(outputs)) == {
        "predictions": [{"w": "a\0", "w_bytes": [{"b64": "YQA="}]}],
    }


@pytest.mark.parametrize("dtype", [np.longlong, np.ulonglong, np.float16, np.bool_])
def test_one_value_a_row_of_any_type(dtype: type[np.generic]) -> None:
    """ONNX Runtime's 64-bit integers are numpy's `longlong`, which is the same as `int64` and yet another type."""
    outputs = {"a": np.array([0, 1], dtype), "b": np.array([1, 0], dtype)}
    assert orjson.loads(encode_predictions(outputs)) == {"predictions": [{"a": 0, "b": 1}, {"a": 1, "b": 0}]}


@pytest.mark.parametrize("array", [np.array([[1, 2], [3, 4]], np.float32).T, np.array([True, False])])
def test_layout_and_type_do_not_matter(array: Array) -> None:
    """Transposed and boolean outputs are written too."""
    assert orjson.loads(encode_outputs({"y": array}))["outputs"] == array.tolist()


def test_a_scalar_output() -> None:
    """An output without axes is a bare number in columns, and cannot be split into rows."""
    scalar = np.array(0.1, np.float32)
    assert encode_outputs({"y": scalar}) == b'{"outputs":0.1}'
    with pytest.raises(FairleadError, match="Tensor name: y has no shape information"):
        encode_predictions({"y": scalar})


def test_outputs_of_different_length() -> None:
    """Outputs that differ in rows cannot be predictions."""
    with pytest.raises(FairleadError, match="Tensor name: b has inconsistent batch size: 1"):
        encode_predictions({"a": np.zeros(2), "b": np.zeros(1)})


def test_no_rows() -> None:
    """An answer without rows is an empty list."""
    assert encode_predictions({"y": np.zeros((0, 3), np.float32)}) == b'{"predictions":[]}'
