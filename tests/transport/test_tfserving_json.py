"""JSON becomes tensors without coercion, and what is wrong is said in TensorFlow Serving's words."""

import base64
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import Code, FairleadError
from fairlead.servable.json_array import quick_array
from fairlead.servable.signature import Signature, Tensors, TensorSpec
from fairlead.transport.tfserving.tensors import decode_tensors
from fairlead.transport.tfserving.walk import walk_rows, walk_tensor


def signature(*inputs: tuple[str, str, tuple[int, ...]]) -> Signature:
    """A signature with these inputs."""
    specs = tuple(TensorSpec(name=name, dtype=dtype, shape=shape) for name, dtype, shape in inputs)
    return Signature(inputs=specs, outputs=(TensorSpec(name="y", dtype="float32", shape=(-1,)),))


ONE = signature(("x", "float32", (-1, -1)))
TWO = signature(("a", "float32", (-1,)), ("n", "int32", (-1,)))


def decode(document: dict[str, Any], dtype: str = "float32") -> Tensors:
    """Decode for one input of rank 1."""
    return decode_tensors(document, signature(("x", dtype, (-1,))))


def fault(document: dict[str, Any], of: Signature = ONE) -> str:
    """What is said against `document`."""
    with pytest.raises(FairleadError) as caught:
        decode_tensors(document, of)
    assert caught.value.code is Code.INVALID_ARGUMENT
    return caught.value.message


@pytest.mark.parametrize(
    "document",
    [
        {"instances": [[1, 2.5], [3, 4]]},
        {"instances": [{"x": [1, 2.5]}, {"x": [3, 4]}]},
        {"inputs": [[1, 2.5], [3, 4]]},
        {"inputs": {"x": [[1, 2.5], [3, 4]], "bogus": 1}},
        {"signature_name": "", "instances": [[1, 2.5], [3, 4]], "other": None},
        {"signature_name": "serving_default", "instances": [[1, 2.5], [3, 4]]},
    ],
)
def test_forms_of_one_input(document: dict[str, Any]) -> None:
    """Rows and columns, plain and named, are the same tensor; integers are fine for floats."""
    (array,) = decode_tensors(document, ONE).values()
    assert array.dtype == np.float32
    assert array.tolist() == [[1.0, 2.5], [3.0, 4.0]]


@pytest.mark.parametrize(
    "document", [{"instances": [{"a": 1, "n": 2}, {"n": 4, "a": 3}]}, {"inputs": {"a": [1, 3], "n": [2, 4]}}]
)
def test_forms_of_several_inputs(document: dict[str, Any]) -> None:
    """Several inputs are named, each in its own dtype."""
    tensors = decode_tensors(document, TWO)
    assert {name: (array.dtype.name, array.tolist()) for name, array in tensors.items()} == {
        "a": ("float32", [1.0, 3.0]),
        "n": ("int32", [2, 4]),
    }


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({}, "Missing 'inputs' or 'instances' key"),
        ({"instances": {}}, "JSON Value: {} Expecting 'instances' to be an list/array"),
        ({"instances": []}, "JSON Value: [] No values in 'instances' array"),
        ({"inputs": {"bogus": 1}}, "Missing named input: x in 'inputs' object."),
        ({"inputs": [["x"]]}, 'JSON Value: "x" Type: String is not of expected type: float'),
        ({"inputs": [[1, 2], [3]]}, "Encountered list at unexpected size: 1 at level: 1 expected size: 2"),
        (
            {"inputs": [[1, 2], 3]},
            "JSON Value: 3 found at incorrect level: 2 in the JSON DOM. Expected at level: 2",
        ),
        ({"inputs": [1, [2]]}, "Encountered list at unexpected level: 1 expected < 1"),
        ({"instances": [{"x": [1]}, [1]]}, "Expecting object but got list at item 1 of input list"),
        ({"instances": [[1], {"x": [1]}]}, "Expecting value/list but got object at item 1 of input list"),
    ],
)
def test_words_for_whole_documents(document: dict[str, Any], said: str) -> None:
    """A fault outside of a row is told as it is."""
    assert fault(document) == said


def test_words_for_both_keys() -> None:
    """Rows and columns at once are refused."""
    assert "expecting only one of 'inputs' or 'instances' keys to exist" in fault({"instances": [1], "inputs": [1]})


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([[1], ["x"]], 'element: 1 of * JSON Value: "x" Type: String is not of expected type: float'),
        ([[1], [None]], "element: 1 of * JSON Value: null Type: Null is not of expected type: float"),
        ([[True]], "element: 0 of * JSON Value: true Type: True is not of expected type: float"),
        ([[False]], "element: 0 of * JSON Value: false Type: False is not of expected type: float"),
        ([[{}]], "element: 0 of * JSON Value: {} Type: Object is not of expected type: float"),
        ([{"b64": "YQ=="}], 'element: 0 of * JSON Value: {"b64": "YQ=="} Type: Object is not of expected type: float'),
        ([[1, 2], [3, 4], [5]], "element: 2 of * Expecting tensor size: 2 but got: 1"),
        ([[1, 2], [[3, 4]]], "element: 1 of * Expecting shape [2] but got: [1,2]"),
        (
            [{"x": [1]}, {"x": ["a"]}],
            'element: 1 key: x of * JSON Value: "a" Type: String is not of expected type: float',
        ),
        ([{"bogus": 1}], "element: 0 key: bogus of * JSON object: does not have named input: bogus"),
    ],
)
def test_words_for_rows(rows: list[Any], said: str) -> None:
    """A fault in a row names the row."""
    place, _, inner = said.partition(" of * ")
    assert (
        fault({"instances": rows}) == f"Failed to process {place} of 'instances' list. Error: INVALID_ARGUMENT: {inner}"
    )


def test_words_for_a_row_without_its_names() -> None:
    """A row that lacks a name says which there are."""
    message = fault({"instances": [{"a": 1}]}, TWO)
    expected = "Failed to process element: 0 of 'instances' list. JSON object: {\"a\": 1} keys must be equal to: a,n"
    assert message == expected


def test_several_inputs_must_be_named() -> None:
    """Plain values do not say which input they are for."""
    assert fault({"instances": [1]}, TWO).startswith("instances is a plain list, but expecting list of objects")
    assert fault({"inputs": [1]}, TWO).startswith("inputs is a plain value/list, but expecting an object")


@pytest.mark.parametrize(
    ("dtype", "good", "bad"),
    [
        ("float32", [1, 1.5, -0.0], ["1", True, None]),
        ("float16", [1, 1.5], ["1"]),
        ("float64", [1, 1.5], ["1"]),
        ("int8", [-128, 127], [1.0, 128, -129, True, 2**70]),
        ("int32", [-(2**31), 2**31 - 1], [1.0, 2**31]),
        ("int64", [-(2**63), 2**63 - 1], [1.0, 2**63, 1e19]),
        ("uint8", [0, 255], [-1, 256]),
        ("uint64", [0, 2**64 - 1], [-1, 1.0]),
        ("bool", [True, False], [0, 1, "true"]),
        ("string", ["a", ""], [1, None, True]),
    ],
)
def test_nothing_is_coerced(dtype: str, good: list[Any], bad: list[Any]) -> None:
    """Each dtype takes its own JSON type and its own range, and nothing else."""
    assert decode({"instances": good}, dtype)["x"].tolist() == good
    for value in bad:
        with pytest.raises(FairleadError, match="is not of expected type"):
            decode({"instances": [good[0], value]}, dtype)


def test_a_number_beyond_the_dtype_is_infinite() -> None:
    """A finite number beyond float32 becomes an infinity, and one too small for it zero."""
    assert decode({"instances": [1e308, -1e308, 1e-60]})["x"].tolist() == [math.inf, -math.inf, 0.0]


def test_base64_is_text_or_bytes() -> None:
    """A base64 object is a string input's text, with or without padding, or bytes where it is no text."""
    rows = ["plain", {"b64": base64.b64encode("é".encode()).decode()}, {"b64": "YQ"}, {"b64": "/w=="}]
    assert decode({"instances": rows}, "string")["x"].tolist() == ["plain", "é", "a", b"\xff"]
    assert decode({"inputs": {"b64": "YQ=="}}, "string")["x"].tolist() == "a"


@pytest.mark.parametrize("encoded", ["*", "é"])
def test_bad_base64_is_refused(encoded: str) -> None:
    """What is not base64 is refused."""
    with pytest.raises(FairleadError, match="Unable to base64 decode"):
        decode({"instances": [{"b64": encoded}]}, "string")


def test_a_long_value_is_cut_in_its_echo() -> None:
    """An error repeats no more than the beginning of what was sent."""
    assert len(fault({"instances": {"x": [0.5] * 100_000}})) < 400


def test_nesting_beyond_any_tensor_is_refused() -> None:
    """Lists nested deeper than a tensor can be are refused, however deep the JSON parser would go."""
    value: Any = 1.0
    for _ in range(1000):
        value = [value]
    assert "lists deep" in fault({"instances": value})
    assert "lists deep" in fault({"inputs": value})


LEAVES = {
    "float32": st.floats(width=32, allow_nan=False, allow_infinity=False) | st.integers(-1000, 1000),
    "int16": st.integers(-(2**15), 2**15 - 1),
    "bool": st.booleans(),
    "string": st.text(max_size=3),
}


@st.composite
def tensors(draw: st.DrawFn) -> tuple[TensorSpec, list[Any]]:
    """A spec and nested lists that fit it."""
    dtype = draw(st.sampled_from(sorted(LEAVES)))
    shape = draw(st.lists(st.integers(1, 3), min_size=1, max_size=4))
    values: st.SearchStrategy[Any] = LEAVES[dtype]
    for size in reversed(shape):
        values = st.lists(values, min_size=size, max_size=size)
    return TensorSpec(name="x", dtype=dtype, shape=(-1,) * len(shape)), draw(values)


@given(tensors())
def test_the_quick_way_and_the_walk_agree(case: tuple[TensorSpec, list[Any]]) -> None:
    """The short way through C and the walk in Python make the same tensor of a good value."""
    spec, values = case
    quick = quick_array(spec, values)
    assert quick is not None
    for walked in (walk_tensor(spec, values), walk_rows(spec, values)):
        assert (walked.dtype, walked.shape, walked.tolist()) == (quick.dtype, quick.shape, quick.tolist())


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "b64", "y"]), inner, max_size=2),
    max_leaves=8,
)


@given(st.sampled_from(sorted(LEAVES)), st.integers(0, 3), ANY_JSON)
def test_the_quick_way_accepts_nothing_that_the_walk_refuses(dtype: str, rank: int, value: Any) -> None:
    """Of any JSON value, the short way makes what the walk makes, or leaves it to the walk."""
    spec = TensorSpec(name="x", dtype=dtype, shape=(-1,) * rank)
    quick = quick_array(spec, value)
    if quick is not None:
        walked = walk_tensor(spec, value)
        assert (walked.dtype, walked.tolist()) == (quick.dtype, quick.tolist()) or not np.isfinite(quick).all()
