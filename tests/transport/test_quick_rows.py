"""The short way gives what the careful way gives, or nothing."""

from __future__ import annotations

import doctest
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fairlead.transport.quick_rows
from fairlead.errors import FairleadError
from fairlead.servable.signature import Signature, TensorSpec
from fairlead.transport.json_document import parse_json
from fairlead.transport.quick_rows import quick_rows
from fairlead.transport.tfserving.tensors import decode_tensors

KEY = b'"instances"'
PAIR = TensorSpec(name="x", dtype="float32", shape=(-1, 2))
GRID = TensorSpec(name="x", dtype="float64", shape=(-1, 2, 3))
FLAT = TensorSpec(name="x", dtype="float32", shape=(-1,))


def careful(body: bytes, spec: TensorSpec) -> Any:
    """What the careful way gives: an array, or None for an error."""
    signature = Signature(inputs=(spec,), outputs=(spec,))
    try:
        tensors = decode_tensors(parse_json(body), signature)
        signature.check_inputs(tensors)
    except FairleadError:
        return None
    return tensors[spec.name]


@pytest.mark.parametrize(
    ("spec", "value"),
    [
        (PAIR, [[1, 2.5], [-3e-5, 0]]),
        (PAIR, [[0.1, 1e30]]),
        (GRID, [[[1, 2, 3], [4, 5, 6]]] * 3),
        (FLAT, [1, 2, 3]),
        (PAIR, [[10**18 - 1, -(10**18 - 1)]]),
        (PAIR, [[1e-7, -1.5e-12], [2.5e22, 1e38]]),
        (PAIR, [[0.10000000149011612, 0.0000012345678901234567]]),
        (GRID, [[[1e-5, 0.0625, 1e-22], [0, -0.0, 1e14]]]),
    ],
)
def test_rows_of_numbers_are_read(spec: TensorSpec, value: Any) -> None:
    """Whatever the spaces between them."""
    for text in (json.dumps({"instances": value}), json.dumps({"instances": value}, indent=2)):
        array = quick_rows(text.encode(), KEY, spec)

        assert array is not None
        assert array.dtype == spec.numpy_dtype
        np.testing.assert_array_equal(array, np.array(value, spec.dtype))
        np.testing.assert_array_equal(array, careful(text.encode(), spec))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[[1,2]]",
        '{"instances":[]}',
        '{"instances":[[1,2],[3]]}',
        '{"instances":[[1,2,3]]}',
        '{"instances":[[1],[2,3]]}',
        '{"instances":[1,2]}',
        '{"instances":[[[1,2]]]}',
        '{"instances":[[1,true]]}',
        '{"instances":[[1,null]]}',
        '{"instances":[[1,"2"]]}',
        '{"instances":[[1,NaN]]}',
        '{"instances":[[1,Infinity]]}',
        '{"instances":[[1,1e400]]}',
        '{"instances":[[1,9223372036854775808]]}',
        '{"instances":[[1,123456789012345678901234567890]]}',
        '{"instances":[[1,1e45]]}',
        '{"instances":[[1,1e-45]]}',
        '{"instances":[[1,1e0001]]}',
        '{"instances":[[1,1e]]}',
        '{"instances":[[1,-]]}',
        '{"instances":[[1,+2]]}',
        '{"instances":[[1,.5]]}',
        '{"instances":[[1,2',
        '{"instances":[[1,2.',
        '{"instances":[[1,2e',
        '{"instances":[[1,]]}',
        '{"instances":[[]]}',
        '{"instances":[[1,2],[]]}',
        '{"instances":[[,1]]}',
        '{"instances":[[1 2,]]}',
        '{"instances":[[1,2]],}',
        '{"instances":[[1,2]]} x',
        '{"instances":[[1,2]]',
        '{"instances":[[1,2]],"instances":[[3,4]]}',
        '{"instances":[[1,2]],"signature_name":"other"}',
        '{"inputs":[[1,2]]}',
        '{"instances":{"x":[[1,2]]}}',
        '{"instances":[{"x":[1,2]}]}',
        "{instances:[[1,2]]}",
        '{"instances":[[01,2]]}',
        '{"instances":[[1.,2]]}',
        '{"instances":[[0x1,2]]}',
        '{"instances":[[1,2]]}\x00',
        '{"instances\xff":[[1,2]]}',
    ],
)
def test_everything_else_is_left_to_the_careful_way(text: str) -> None:
    """Brackets in another order, two keys, any value that is no number, any text that is not JSON."""
    assert quick_rows(text.encode("latin-1"), KEY, PAIR) is None


@pytest.mark.parametrize(
    "spec",
    [
        TensorSpec(name="x", dtype="int64", shape=(-1, 2)),
        TensorSpec(name="x", dtype="string", shape=(-1, 2)),
        TensorSpec(name="x", dtype="float32", shape=(-1, -1)),
        TensorSpec(name="x", dtype="float32", shape=(1, 2)),
        TensorSpec(name="x", dtype="float32", shape=(-1, 0)),
        TensorSpec(name="x", dtype="float32", shape=()),
        TensorSpec(name="x", dtype="float32", shape=(-1, 10**9, 10**9)),
    ],
)
def test_other_tensors_are_left_to_the_careful_way(spec: TensorSpec) -> None:
    """Integers, which must not be rounded, free axes, and shapes that no body could have."""
    assert quick_rows(b'{"instances":[[1,2]]}', KEY, spec) is None


NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=True, allow_infinity=True),
    st.booleans(),
    st.none(),
    st.text(max_size=2),
)


@given(
    st.recursive(NUMBERS, lambda inner: st.lists(inner, max_size=4), max_leaves=12),
    st.sampled_from(["instances", "inputs", "other"]),
    st.sampled_from([PAIR, GRID, FLAT]),
)
def test_the_short_way_never_differs_from_the_careful_way(value: Any, key: str, spec: TensorSpec) -> None:
    """Any value under any key: the same array, or nothing."""
    body = json.dumps({key: value}).encode()

    quick = quick_rows(body, KEY, spec)

    if quick is not None:
        assert key == "instances"
        np.testing.assert_array_equal(quick, careful(body, spec))


@given(st.lists(st.tuples(st.floats(-1e37, 1e37), st.floats(-1e37, 1e37)), min_size=1, max_size=5), st.data())
def test_a_changed_byte_never_gives_another_answer_than_the_careful_way(
    rows: list[tuple[float, float]], data: st.DataObject
) -> None:
    """Damage a good body anywhere: it is refused, or read alike by both."""
    body = bytearray(json.dumps({"instances": rows}).encode())
    where = data.draw(st.integers(0, len(body) - 1))
    body[where] = data.draw(st.sampled_from(b'[]{},:"0123456789.eE+- tn\\\x00\xff'))

    quick = quick_rows(bytes(body), KEY, PAIR)

    if quick is not None:
        np.testing.assert_array_equal(quick, careful(bytes(body), PAIR))


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_what_a_float32_is_written_as_is_read_the_short_way(values: list[float]) -> None:
    """Seventeen digits are more than a double holds, and still enough to know the float32; but for the smallest."""
    kept = [value for value in values if value == 0 or abs(value) > 1e-25]
    array = quick_rows(json.dumps({"instances": [[value, 1] for value in kept]}).encode(), KEY, PAIR)

    if kept:
        assert array is not None
        assert array[:, 0].tolist() == kept


@given(st.integers(0, 2**80), st.integers(-60, 60), st.booleans())
def test_any_digits_and_exponent_give_the_careful_answer(digits: int, exponent: int, is_negative: bool) -> None:
    """To the last bit, also where a double is rounded before the float32 is."""
    body = f'{{"instances":[{"-" if is_negative else ""}{digits}e{exponent}]}}'.encode()
    for spec in (FLAT, replace(FLAT, dtype="float64")):
        array = quick_rows(body, KEY, spec)

        if array is not None:
            np.testing.assert_array_equal(array, careful(body, spec))


def test_a_number_between_two_float32_is_left_to_the_careful_way() -> None:
    """Where the double cannot be known exactly and its last bit decides."""
    halfway = 1 + 2**-24
    assert quick_rows(f'{{"instances":[{halfway:.18f}00001]}}'.encode(), KEY, FLAT) is None


def test_threads_do_not_mix() -> None:
    """Bodies that are read at the same time."""
    bodies = [json.dumps({"instances": [[n, n]] * (n + 1)}).encode() for n in range(50)]

    with ThreadPoolExecutor(8) as pool:
        arrays = list(pool.map(lambda body: quick_rows(body, KEY, PAIR), bodies * 10))

    for n, array in enumerate(arrays):
        assert array is not None
        assert array.tolist() == [[n % 50] * 2] * (n % 50 + 1)


def test_the_docstring_example_is_true() -> None:
    """Examples in the docs are run."""
    assert doctest.testmod(fairlead.transport.quick_rows).failed == 0
