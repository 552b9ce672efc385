"""Raw requests: nothing but the bytes of the only input."""

import numpy as np
import pytest
from tests.transport.conftest import Client
from tests.transport.fakes import manifest_of, specs
from tests.transport.v2_requests import split

from fairlead.errors import FairleadError
from fairlead.servable.signature import Tensors
from fairlead.transport.v2.inference import Inference
from fairlead.transport.v2.inputs import decode_inputs


def raw(shape: tuple[int, ...], data: bytes, dtype: str = "float32") -> Tensors:
    """What `data` means to a model with one input of `shape`."""
    manifest = manifest_of("m", specs(x=(dtype, shape)), specs(y=("float32", (-1,))))
    return decode_inputs(Inference(raw=memoryview(data)), manifest)


def test_a_raw_request_is_one_row_and_answered_in_bytes(client: Client) -> None:
    """A JSON length of 0 makes the body one row, and every output comes back in bytes."""
    image = np.zeros((28, 28), np.float32)
    image[3:20, 14] = 0.5
    answer = client.post("/v2/models/digits/infer", image.tobytes(), inference_header_content_length="0")
    document, blobs = split(answer)
    assert document["outputs"][0]["shape"] == [1, 10]
    assert len(blobs["probs"]) == 40


@pytest.mark.parametrize(
    ("shape", "floats", "expected"),
    [
        ((-1, 2), 2, (1, 2)),
        ((-1, -1), 3, (1, 3)),
        ((-1, -1, 2), 6, (1, 3, 2)),
        ((3,), 3, (3,)),
        ((-1,), 1, (1,)),
        ((), 1, ()),
        ((2, -1), 6, (2, 3)),
    ],
)
def test_the_shape_follows_from_the_size(shape: tuple[int, ...], floats: int, expected: tuple[int, ...]) -> None:
    """The batch is one row, and one other axis may be of any length."""
    assert raw(shape, bytes(4 * floats))["x"].shape == expected


@pytest.mark.parametrize(
    ("shape", "size"),
    [((-1, 2), 4), ((-1, 2), 12), ((-1, -1), 5), ((-1, -1, -1), 8), ((3,), 16), ((-1, -1, 0), 4), ((-1,), 0)],
)
def test_a_size_that_fits_no_row_is_refused(shape: tuple[int, ...], size: int) -> None:
    """What is no whole row, or could be several shapes, is the client's fault."""
    with pytest.raises(FairleadError, match=r"mismatch|cannot be told|unexpected shape"):
        raw(shape, bytes(size))


def test_a_raw_string_needs_no_length() -> None:
    """The body is the one string."""
    assert raw((-1,), "hé".encode(), "string")["x"].tolist() == ["hé"]
    assert raw((-1, 1), b"", "string")["x"].tolist() == [[""]]
    with pytest.raises(FairleadError, match="cannot be told"):
        raw((-1, -1), b"a", "string")
    with pytest.raises(FairleadError, match="do not fit"):
        raw((-1, 2), b"abc", "string")


def test_a_model_with_two_inputs_takes_no_raw_request(client: Client) -> None:
    """Bytes alone do not say which input they are."""
    answer = client.post("/v2/models/pair/infer", b"1234", inference_header_content_length="0")
    assert answer.status == 400
    assert "takes 2" in answer.error
