"""What a model takes and gives, and what is refused before the model sees it."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import Code, FairleadError
from fairlead.servable.signature import Signature, Tensors, TensorSpec

DTYPES = (
    "bool",
    "float16",
    "float32",
    "float64",
    "int16",
    "int32",
    "int64",
    "int8",
    "string",
    "uint16",
    "uint32",
    "uint64",
    "uint8",
)
SPECS = st.builds(
    TensorSpec,
    name=st.text(min_size=1, max_size=8),
    dtype=st.sampled_from(DTYPES),
    shape=st.lists(st.integers(-1, 2**40), max_size=5).map(tuple),
)
SIDES = st.lists(SPECS, min_size=1, max_size=4, unique_by=lambda spec: spec.name).map(tuple)


def spec(name: str = "x", dtype: str = "float32", shape: tuple[int, ...] = (-1, 2)) -> TensorSpec:
    """A tensor."""
    return TensorSpec(name=name, dtype=dtype, shape=shape)


def signature(*inputs: TensorSpec) -> Signature:
    """A signature with these inputs."""
    return Signature(inputs=inputs, outputs=(spec("y"),))


ONE = signature(spec())
TWO = signature(spec("a"), spec("n", "int64", (-1,)))


def fault(tensors: Tensors, of: Signature = ONE) -> str:
    """What is said against `tensors`."""
    with pytest.raises(FairleadError) as caught:
        of.check_inputs(tensors)
    assert caught.value.code is Code.INVALID_ARGUMENT
    return caught.value.message


def test_a_tensor_needs_a_name() -> None:
    """Clients must be able to call it something."""
    with pytest.raises(FairleadError, match="a tensor has an empty name"):
        spec("")


@pytest.mark.parametrize("dtype", ["", "float", "float128", "complex64", "object", "int", "datetime64", "bfloat16"])
def test_an_unknown_dtype_is_refused(dtype: str) -> None:
    """The hint lists the thirteen known ones."""
    with pytest.raises(FairleadError, match=f"tensor 'x' has dtype '{dtype}'") as caught:
        spec(dtype=dtype)

    assert caught.value.hint == "known dtypes: " + ", ".join(DTYPES)


def test_a_shape_has_no_size_below_minus_one() -> None:
    """-1 means any length; less means nothing."""
    assert spec(shape=(-1, 0)).shape == (-1, 0)
    with pytest.raises(FairleadError, match=r"has shape \[-1, -2\]"):
        spec(shape=(-1, -2))


@pytest.mark.parametrize(("dtype", "numpy"), [("string", np.object_), ("float16", np.float16), ("bool", np.bool_)])
def test_strings_travel_as_objects(dtype: str, numpy: type) -> None:
    """Every other dtype is numpy's own."""
    assert spec(dtype=dtype).numpy_dtype == np.dtype(numpy)


@pytest.mark.parametrize(
    ("shape", "is_admitted"),
    [((1, 2), True), ((0, 2), True), ((7, 2), True), ((2,), False), ((1, 3), False), ((1, 2, 1), False), ((), False)],
)
def test_a_free_axis_admits_any_length(shape: tuple[int, ...], is_admitted: bool) -> None:
    """The rank and every fixed axis must agree."""
    assert spec().admits(shape) is is_admitted


def test_names_are_distinct_on_each_side() -> None:
    """Two tensors of one name could not both be asked for; an input and an output may share one."""
    with pytest.raises(FairleadError, match=r"distinct input names, got \['x', 'x'\]"):
        signature(spec(), spec())
    with pytest.raises(FairleadError, match=r"distinct output names, got \['y', 'y'\]"):
        Signature(inputs=(spec(),), outputs=(spec("y"), spec("y")))

    assert Signature(inputs=(spec(),), outputs=(spec(),)).inputs == (spec(),)


def test_neither_side_is_empty() -> None:
    """A model takes something and gives something."""
    with pytest.raises(FairleadError, match=r"input names, got \[\]"):
        signature()
    with pytest.raises(FairleadError, match=r"output names, got \[\]"):
        Signature(inputs=(spec(),), outputs=())


@pytest.mark.parametrize("rows", [1, 2, 1000])
def test_a_well_formed_batch_passes(rows: int) -> None:
    """Any number of rows from one up."""
    TWO.check_inputs({"n": np.zeros(rows, np.int64), "a": np.zeros((rows, 2), np.float32)})


def test_the_inputs_are_exactly_the_models() -> None:
    """A missing and a foreign name are both told, with what the model takes."""
    good = np.zeros((1, 2), np.float32)

    assert fault({}) == "the inputs are [] but the model takes ['x']"
    assert fault({"z": good}) == "the inputs are ['z'] but the model takes ['x']"
    assert fault({"x": good, "a": good}) == "the inputs are ['a', 'x'] but the model takes ['x']"


@pytest.mark.parametrize("shape", [(), (2,), (1, 3), (1, 2, 1), (2, 0)])
def test_a_wrong_shape_is_told(shape: tuple[int, ...]) -> None:
    """Both shapes are in the message."""
    message = fault({"x": np.zeros(shape, np.float32)})

    assert message == f"input 'x' has shape {list(shape)} but the model takes [-1, 2]"


def test_an_empty_batch_is_refused() -> None:
    """No rows is no question."""
    assert fault({"x": np.zeros((0, 2), np.float32)}) == "input 'x' has no rows"


def test_a_fixed_batch_may_be_any_size() -> None:
    """Only a free first axis is a batch; a scalar input has none."""
    of = signature(spec("a", shape=(3,)), spec("b", shape=()), spec("c", shape=(-1,)))

    of.check_inputs({"a": np.zeros(3, np.float32), "b": np.zeros((), np.float32), "c": np.zeros(9, np.float32)})


def test_the_inputs_have_one_number_of_rows() -> None:
    """The message says whose differs."""
    message = fault({"a": np.zeros((2, 2), np.float32), "n": np.zeros(3, np.int64)}, TWO)

    assert message == "the inputs differ in their number of rows: {'a': 2, 'n': 3}"


@pytest.mark.parametrize("dtype", ["float64", "float16", "int32", "bool", "object", ">f4"])
def test_nothing_is_coerced(dtype: str) -> None:
    """A dtype is right or refused, even when its values would fit."""
    assert "has dtype" in fault({"x": np.zeros((1, 2), dtype)})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_numbers_that_are_not_finite_are_inputs_but_can_be_told(dtype: str, value: float) -> None:
    """They fit the signature, as they do for other servers; who wants none of them asks."""
    array = np.zeros((3, 2), dtype)
    of = signature(spec(dtype=dtype))
    of.check_finite({"x": array})
    array[2, 1] = value

    of.check_inputs({"x": array})
    with pytest.raises(FairleadError, match=f"input 'x' holds a number that is not finite in {dtype}"):
        of.check_finite({"x": array})


@given(SIDES, SIDES)
def test_a_signature_survives_json(inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> None:
    """Names, dtypes, shapes and their order come back as they were."""
    whole = Signature(inputs=inputs, outputs=outputs)

    assert Signature.from_json(json.loads(json.dumps(whole.to_json()))) == whole


@given(st.lists(st.integers(-1, 4), max_size=4).map(tuple), st.lists(st.integers(0, 4), max_size=4).map(tuple))
def test_admits_agrees_with_its_definition(want: tuple[int, ...], got: tuple[int, ...]) -> None:
    """A check either passes exactly the admitted shapes that have a row, or refuses in words."""
    of = signature(spec(shape=want))
    array: np.ndarray[Any, Any] = np.zeros(got, np.float32)
    has_rows = want[:1] != (-1,) or got[:1] != (0,)
    if spec(shape=want).admits(got) and has_rows:
        of.check_inputs({"x": array})
    else:
        fault({"x": array}, of)
