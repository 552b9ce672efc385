"""TensorProto to arrays and back, as TensorFlow itself reads and writes it."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.transport.grpc.protos import TensorProto

from fairlead.errors import Code, FairleadError
from fairlead.servable.signature import Array, TensorSpec
from fairlead.transport.grpc.tensor_proto import DATA_TYPES, from_proto, write_proto

LIMIT = 1 << 20
NUMBERS = ("bool", "float16", "float32", "float64", *(f"{s}int{b}" for s in ("", "u") for b in (8, 16, 32, 64)))


def spec(dtype: str, *shape: int) -> TensorSpec:
    """What a model takes."""
    return TensorSpec(name="x", dtype=dtype, shape=shape)


def proto(dtype: str, shape: tuple[int, ...], **fields: Any) -> Any:
    """A message of that type and shape."""
    message = TensorProto(dtype=DATA_TYPES[dtype], **fields)
    for size in shape:
        message.tensor_shape.dim.add(size=size)
    return message


def refusal(of: TensorSpec, message: Any) -> str:
    """The sentence with which `message` is refused."""
    with pytest.raises(FairleadError) as caught:
        from_proto(of, message, LIMIT)
    assert caught.value.code is Code.INVALID_ARGUMENT
    return caught.value.message


def arrays(dtype: str) -> st.SearchStrategy[Array]:
    """Arrays of any shape up to three axes, empty ones too."""
    return hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))


@pytest.mark.parametrize("dtype", NUMBERS)
@given(data=st.data())
def test_what_is_written_is_read(dtype: str, data: st.DataObject) -> None:
    """An answer's values, read as a request's, are the same, NaN and all; so they are to TensorFlow."""
    array = data.draw(arrays(dtype))
    message = TensorProto()
    write_proto(message, array)
    again = from_proto(spec(dtype, *array.shape), TensorProto.FromString(message.SerializeToString()), LIMIT)

    np.testing.assert_array_equal(again, array)
    assert again.dtype == array.dtype
    assert not message.tensor_content


@pytest.mark.parametrize("dtype", NUMBERS)
@given(data=st.data())
def test_contents_are_read(dtype: str, data: st.DataObject) -> None:
    """Raw contents are the array's memory."""
    array = data.draw(arrays(dtype))
    message = proto(dtype, array.shape, tensor_content=array.tobytes())
    if array.size:
        np.testing.assert_array_equal(from_proto(spec(dtype, *array.shape), message, LIMIT), array)


@given(hnp.arrays(object, hnp.array_shapes(min_dims=0, max_dims=2, min_side=0), elements=st.text(max_size=20)))
def test_texts_are_written_and_read(array: Array) -> None:
    """Strings of any shape and alphabet."""
    message = TensorProto()
    write_proto(message, array)
    again = from_proto(spec("string", *array.shape), TensorProto.FromString(message.SerializeToString()), LIMIT)

    assert again.tolist() == array.tolist()


@pytest.mark.parametrize("dtype", [*NUMBERS, "string"])
def test_tensorflow_reads_what_is_written(dtype: str) -> None:
    """Type, shape and values are TensorFlow's own for every type, a scalar included."""
    import tensorflow as tf

    values: list[Any] = [b"a", b"\xffb"] if dtype == "string" else [0, 1]
    kind = object if dtype == "string" else dtype
    for array in (np.array(values, kind), np.array(values[1], kind)):
        message = TensorProto()
        write_proto(message, array)
        theirs = tf.make_ndarray(tf.make_tensor_proto(0).FromString(message.SerializeToString()))

        assert theirs.tolist() == array.tolist()
        assert theirs.shape == array.shape


@pytest.mark.parametrize("dtype", [*NUMBERS, "string"])
@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 2), (0,)])
def test_what_tensorflow_makes_is_read(dtype: str, shape: tuple[int, ...]) -> None:
    """Messages of tf.make_tensor_proto, whichever form it takes for a shape."""
    import tensorflow as tf

    filler: Any = "ab" if dtype == "string" else 1
    array = np.full(shape, filler, object if dtype == "string" else dtype)
    theirs = tf.make_tensor_proto(array, dtype=tf.as_dtype(dtype), shape=shape)
    read = from_proto(spec(dtype, *shape), TensorProto.FromString(theirs.SerializeToString()), LIMIT)

    assert read.tolist() == array.tolist()
    assert read.shape == shape


def test_the_last_value_stands_for_those_that_are_missing() -> None:
    """Fewer values than elements: the last is repeated; none: zeros; more: ignored."""
    of = spec("float32", -1, 2)

    assert from_proto(of, proto("float32", (2, 2), float_val=[1, 2]), LIMIT).tolist() == [[1, 2], [2, 2]]
    assert from_proto(of, proto("float32", (2, 2)), LIMIT).tolist() == [[0, 0], [0, 0]]
    assert from_proto(of, proto("float32", (1, 2), float_val=[1, 2, 3]), LIMIT).tolist() == [[1, 2]]
    assert from_proto(of, proto("float32", (1, 2), int_val=[7, 8]), LIMIT).tolist() == [[0, 0]]
    assert from_proto(spec("int8", 3), proto("int8", (3,), int_val=[5]), LIMIT).tolist() == [5, 5, 5]
    assert from_proto(spec("string", 2), proto("string", (2,)), LIMIT).tolist() == ["", ""]
    assert from_proto(spec("string", 2), proto("string", (2,), string_val=[b"x"]), LIMIT).tolist() == ["x", "x"]


def test_content_wins_over_values() -> None:
    """Raw contents are taken where both are there."""
    message = proto("float32", (1,), tensor_content=np.float32(5).tobytes(), float_val=[1])

    assert from_proto(spec("float32", 1), message, LIMIT).tolist() == [5]


def test_values_may_come_one_by_one() -> None:
    """A client that does not pack its values, or splits them, means the same."""
    unpacked = b"\x08\x01\x12\x04\x12\x02\x08\x02" + b"\x2d\x00\x00\x80\x3f" + b"\x2a\x04\x00\x00\x00\x40"

    assert from_proto(spec("float32", 2), TensorProto.FromString(unpacked), LIMIT).tolist() == [1, 2]


def test_fields_that_nobody_knows_do_not_hurt() -> None:
    """Unknown fields behind the values are no values."""
    message = proto("float32", (2,), float_val=[1, 2]).SerializeToString() + b"\xfa\x07\x03abc"

    assert from_proto(spec("float32", 2), TensorProto.FromString(message), LIMIT).tolist() == [1, 2]


def test_a_value_too_large_wraps_round() -> None:
    """As in TensorFlow, which casts int_val to the smaller type."""
    assert from_proto(spec("uint8", 2), proto("uint8", (2,), int_val=[256, -1]), LIMIT).tolist() == [0, 255]


@pytest.mark.parametrize("strings", [[b"", b"one", b"x" * 300], [b"\xff\xfe", b"b", b""]])
def test_strings_in_content(strings: list[bytes]) -> None:
    """All lengths first, then all bytes; what is no text stays bytes."""
    lengths = b"".join(bytes([len(s)]) if len(s) < 128 else bytes([len(s) & 0x7F | 0x80, len(s) >> 7]) for s in strings)
    message = proto("string", (3,), tensor_content=lengths + b"".join(strings))
    read = from_proto(spec("string", 3), message, LIMIT).tolist()

    assert [item.encode() if isinstance(item, str) else item for item in read] == strings


@pytest.mark.parametrize("content", [b"\x05ab", b"\x01", b"\x80", b"\x01\x01abc", b"\x80" * 100_000, b"\x7f" * 3])
def test_strings_in_content_that_lie(content: bytes) -> None:
    """Lengths that are cut off, too long or too short are refused, and quickly."""
    began = time.thread_time()

    assert refusal(spec("string", 2), proto("string", (2,), tensor_content=content)).startswith(
        "tensor parsing error: x"
    )
    assert time.thread_time() - began < 1


@pytest.mark.parametrize("size", [3, 5, 8])
def test_content_of_another_size_is_refused(size: int) -> None:
    """The bytes must be exactly those of the shape."""
    message = proto("float32", (1,), tensor_content=bytes(size))

    assert refusal(spec("float32", 1), message) == (
        f"tensor parsing error: x: shape [1] takes 4 bytes and there are {size}"
    )


@pytest.mark.parametrize("shape", [(-1, 2), (2, -5)])
def test_a_negative_size_is_refused(shape: tuple[int, ...]) -> None:
    """A request's shape is known."""
    assert refusal(spec("float32", -1, -1), proto("float32", shape)).startswith("tensor parsing error: x")


def test_no_memory_is_taken_for_a_shape_alone() -> None:
    """A shape of terabytes with one value, or none, or of nothing times too much, is refused at once."""
    of = spec("float32", -1, -1)
    began = time.thread_time()

    assert "more than the 1048576 that FAIRLEAD_MAX_BODY_BYTES sets" in refusal(of, proto("float32", (10**6, 10**6)))
    assert "more than the 1048576" in refusal(of, proto("float32", (2**62, 2**62), float_val=[1]))
    assert "is too large" in refusal(of, proto("float32", (0, 2**62)))
    assert "more than the" in refusal(spec("string", -1), proto("string", (10**9,), string_val=[b"x"]))
    assert time.thread_time() - began < 1


@pytest.mark.parametrize(("number", "name"), [(0, "DT_INVALID"), (8, "DT_COMPLEX64"), (14, "DT_BFLOAT16"), (99, "99")])
def test_a_type_that_the_model_does_not_take_is_named(number: int, name: str) -> None:
    """Types of all numbers, also those that nobody knows."""
    message = TensorProto(dtype=number)

    assert refusal(spec("float32", -1), message) == f"input 'x' is {name} but the model takes DT_FLOAT"


def test_a_model_of_any_rank_takes_any_shape() -> None:
    """Where the signature knows no axes, the request's are taken."""
    of = TensorSpec(name="x", dtype="float32", shape=(), is_unranked=True)

    assert from_proto(of, proto("float32", (2, 1), float_val=[1, 2]), LIMIT).tolist() == [[1], [2]]


def test_floats_are_taken_whole() -> None:
    """Reading a list of floats costs a fraction of what reading them one by one would."""
    values = np.arange(200_000, dtype=np.float32)
    message = TensorProto.FromString(proto("float32", (200_000,), float_val=values).SerializeToString())
    one_by_one = _cpu_s(lambda: np.fromiter(message.float_val, np.float32))

    assert _cpu_s(lambda: from_proto(spec("float32", -1), message, LIMIT)) < one_by_one / 2


def _cpu_s(action: Callable[[], object]) -> float:
    began = time.thread_time()
    action()
    return time.thread_time() - began
