"""Tensors as bytes: what lies about its size is refused, and what is right is not copied."""

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.transport.conftest import Client
from tests.transport.fakes import DTYPES
from tests.transport.v2_requests import echo, infer, split, tensor

from fairlead.errors import FairleadError
from fairlead.servable.signature import Array, TensorSpec
from fairlead.transport.v2.binary import from_bytes, to_bytes
from fairlead.transport.v2.datatype import DATATYPES

ROW = np.array([[1.0, 2.0]], np.float32).tobytes()
FLOATS = TensorSpec(name="x", dtype="float32", shape=(-1,))
WORDS = TensorSpec(name="x", dtype="string", shape=(-1,))


def described(size: Any = 8, **changes: Any) -> dict[str, Any]:
    """A request whose input is in bytes."""
    return {"inputs": [tensor("x", "FP32", [1, 2], binary_data_size=size) | changes]}


def words(*texts: str) -> bytes:
    """Strings with their lengths."""
    return b"".join(struct.pack("<I", len(text.encode())) + text.encode() for text in texts)


def test_an_input_in_bytes_and_an_output_in_json(client: Client) -> None:
    """Bytes come in and, when nobody asks for bytes, JSON goes out."""
    answer = infer(client, "echo", described(), ROW)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert "inference-header-content-length" not in answer.headers
    assert answer.json()["outputs"] == [{"name": "y", "datatype": "FP32", "shape": [1, 2], "data": [1.0, 2.0]}]


def test_the_same_json_before_other_bytes(client: Client) -> None:
    """What a client repeats is read once, and what is new in each request is not mixed up with it."""
    mixed = {"inputs": [tensor("a", "FP32", [1, 2], binary_data_size=8), tensor("n", "INT32", [1], [7])]}
    for value in (1.0, 2.0, 3.0):
        row = np.array([[value, value]], np.float32).tobytes()
        assert infer(client, "echo", described(), row).json()["outputs"][0]["data"] == [value, value]
        outputs = infer(client, "pair", mixed, row).json()["outputs"]
        assert [output["data"] for output in outputs] == [[2 * value], [14]]
        assert infer(client, "echo", described(), row[:-1]).status == 400


@pytest.mark.parametrize(
    "asked",
    [{"parameters": {"binary_data_output": True}}, {"outputs": [{"name": "y", "parameters": {"binary_data": True}}]}],
)
def test_an_output_in_bytes(client: Client, asked: dict[str, Any]) -> None:
    """An output that is wanted in bytes comes behind the JSON, whose length is in a header."""
    answer = infer(client, "echo", echo() | asked)
    document, blobs = split(answer)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert document["outputs"] == [
        {"name": "y", "datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": 8}}
    ]
    assert blobs == {"y": ROW}


def test_a_listed_output_overrules_the_request(client: Client) -> None:
    """What holds for all outputs holds for those that are not listed; Triton does so against its own document."""
    asked = {"parameters": {"binary_data_output": True}, "outputs": [{"name": "y"}]}
    assert infer(client, "echo", echo() | asked).json()["outputs"][0]["data"] == [1.0, 2.0]


def test_json_and_bytes_in_one_request_and_answer(client: Client) -> None:
    """Each tensor goes its own way, and bytes keep the order of the tensors they belong to."""
    first = tensor("n", "INT32", [1], binary_data_size=4)
    second = tensor("a", "FP32", [1, 2], binary_data_size=8)
    wanted = [{"name": "sum"}, {"name": "double", "parameters": {"binary_data": True}}]
    document, blobs = split(
        infer(client, "pair", {"inputs": [first, second], "outputs": wanted}, struct.pack("<i", 21), ROW)
    )
    assert document["outputs"][0]["data"] == [3.0]
    assert blobs == {"double": struct.pack("<i", 42)}
    mixed = [tensor("a", "FP32", [1, 2], [1, 2]), first]
    assert infer(client, "pair", {"inputs": mixed}, struct.pack("<i", 21)).json()["outputs"][1]["data"] == [42]


def test_an_empty_output_in_bytes(client: Client) -> None:
    """An output of no bytes leaves the answer plain JSON."""
    request = {"inputs": [tensor("x", "FP32", [1, 0], [])], "parameters": {"binary_data_output": True}}
    answer = infer(client, "echo", request)
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["outputs"][0]["parameters"] == {"binary_data_size": 0}


def test_strings_in_bytes(client: Client) -> None:
    """Each string has its length before it, and bytes that are no text go out as they are."""
    data = words("hé", "", "x" * 300)
    request = {"inputs": [tensor("text", "BYTES", [3], binary_data_size=len(data))]}
    _, blobs = split(infer(client, "words", request | {"parameters": {"binary_data_output": True}}, data))
    assert blobs == {"upper": words("HÉ", "", "X" * 300), "raw_bytes": data}


@pytest.mark.parametrize(
    ("document", "blob", "said"),
    [
        (described(), ROW[:-1], "expecting 1 additional bytes"),
        (described(), b"", "expecting 8 additional bytes"),
        (described(), ROW + b"12", "unexpected additional input data: 2 bytes"),
        (described(7), ROW[:-1], "takes 8 bytes and there are 7"),
        (described(0), b"", "takes 8 bytes and there are 0"),
        (described(2**63), ROW, "additional bytes"),
        (described(-1), ROW, "whole number"),
        (described("8"), ROW, "whole number"),
        (described(True), ROW, "whole number"),
        (described(8.0), ROW, "whole number"),
        (described(data=[1, 2]), ROW, "only one of the following fields"),
        (described(shape=[2**31, 2**31]), ROW, "too large"),
        (described(shape=[2, 2]), ROW, "takes 16 bytes and there are 8"),
        (echo(), ROW, "unexpected additional input data"),
    ],
)
def test_sizes_that_lie_are_refused(client: Client, document: dict[str, Any], blob: bytes, said: str) -> None:
    """Bytes that are missing, left over or of another size than the shape says are 400."""
    answer = infer(client, "echo", document, blob, b"")
    assert answer.status == 400
    assert said in answer.error


@pytest.mark.parametrize("length", ["999999", "abc", "-1", "1.0", "+5", "0x1", "1" * 5000, "\u0665"])
def test_a_header_that_lies_is_refused(client: Client, length: str) -> None:
    """A length of JSON that is no number, or longer than the body, is 400 and shown."""
    answer = infer(client, "echo", echo(), inference_header_content_length=length)
    assert answer.status == 400
    assert "Inference-Header-Content-Length" in answer.error
    assert len(answer.error) < 400


def test_a_header_that_cuts_the_json(client: Client) -> None:
    """A length that ends within the JSON leaves no JSON."""
    answer = infer(client, "echo", described(), ROW, inference_header_content_length="10")
    assert answer.status == 400
    assert "JSON Parse error" in answer.error


def test_without_the_header_all_is_json(client: Client) -> None:
    """Bytes that no header announces are faulty JSON."""
    answer = infer(client, "echo", described(), ROW, inference_header_content_length="")
    assert answer.status == 400


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x07\x00\x00\x00abcd", "element 0 ends 3 bytes behind"),
        (words("a") + b"\x01\x00", "do not fit"),
        (words("abc") + b"\x01\x00", "element 1 ends 2 bytes behind"),
        (words("a", "b") + b"z", "1 bytes are left"),
        (b"\xff\xff\xff\xff" * 2, "element 0 ends"),
        (b"", "do not fit"),
    ],
)
def test_strings_whose_lengths_lie(data: bytes, said: str) -> None:
    """Lengths that lead out of the data, or leave some of it, are refused."""
    with pytest.raises(FairleadError, match=said):
        from_bytes(WORDS, (2,), memoryview(data))


def test_strings_that_are_no_text_stay_bytes() -> None:
    """Some models take pictures and records; those that take text refuse them."""
    assert from_bytes(WORDS, (2,), memoryview(words("é") + b"\x01\x00\x00\x00\xff")).tolist() == ["é", b"\xff"]


def test_a_boolean_is_0_or_1() -> None:
    """Any other byte would be a boolean that is neither."""
    spec = TensorSpec(name="x", dtype="bool", shape=(-1,))
    assert from_bytes(spec, (2,), memoryview(b"\x00\x01")).tolist() == [False, True]
    with pytest.raises(FairleadError, match="holds the byte 7"):
        from_bytes(spec, (2,), memoryview(b"\x00\x07"))


def test_aligned_bytes_are_shared_and_others_copied() -> None:
    """A tensor is a view of the body where the machine can read it there."""
    body = np.arange(9, dtype=np.float32).tobytes()
    shared = from_bytes(FLOATS, (8,), memoryview(body)[4:])
    copied = from_bytes(FLOATS, (8,), memoryview(body)[1:-3])
    assert np.shares_memory(shared, np.frombuffer(body, np.uint8))
    assert not np.shares_memory(copied, np.frombuffer(body, np.uint8))
    assert shared.flags.aligned
    assert copied.flags.aligned


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type_has_a_name(dtype: str) -> None:
    """Each dtype of a signature is a datatype of the protocol."""
    kind, bits = dtype.rstrip("0123456789"), dtype.lstrip("abcdefghijklmnopqrstuvwxyz")
    assert DATATYPES[dtype] == {"bool": "BOOL", "string": "BYTES", "float": "FP"}.get(kind, kind.upper()) + bits


@given(st.lists(st.text()))
def test_strings_round_trip(texts: list[str]) -> None:
    """Any text comes back as it was."""
    array = np.array(texts, object)
    assert from_bytes(WORDS, array.shape, memoryview(to_bytes(array))).tolist() == texts


@pytest.mark.parametrize("array", [np.arange(6, dtype=">f4").reshape(2, 3).T, np.array(1.5, np.float32)])
def test_bytes_are_little_endian_and_row_by_row(array: Array) -> None:
    """Whatever the layout in memory, the bytes are the protocol's."""
    assert to_bytes(array) == struct.pack(f"<{array.size}f", *array.ravel().tolist())
