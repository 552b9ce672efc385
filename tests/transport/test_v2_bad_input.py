"""Whatever a client sends in the Open Inference Protocol is its fault and not the server's."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.transport.conftest import Client
from tests.transport.examples import examples
from tests.transport.fakes import DTYPES, FakeCatalogue, FakePredictor, build_app
from tests.transport.v2_requests import infer, split, tensor

from fairlead.servable.signature import Array
from fairlead.transport.v2.binary import to_bytes
from fairlead.transport.v2.datatype import DATATYPES


@pytest.fixture(scope="module")
def shared_client() -> Client:
    """One application for all examples."""
    catalogue = FakeCatalogue()
    return Client(build_app(catalogue, FakePredictor(catalogue)))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
SIZES = st.integers(-1, 4) | st.integers(0, 2**64 - 1) | JSON
PARAMETERS = st.dictionaries(
    st.sampled_from(["binary_data_size", "binary_data", "binary_data_output", "classification", "x"]),
    st.integers(-1, 20) | st.booleans() | JSON,
    max_size=2,
)
INPUT = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["x", "a", "n", "text", "image"]) | JSON,
        "datatype": st.sampled_from(sorted({*DATATYPES.values(), "BF16"})) | JSON,
        "shape": st.lists(SIZES, max_size=4) | JSON,
        "data": st.lists(st.integers(-3, 300) | st.booleans() | JSON, max_size=6) | JSON,
        "parameters": PARAMETERS | JSON,
    },
)
OUTPUT = st.fixed_dictionaries(
    {}, optional={"name": st.sampled_from(["y", "sum", "upper"]) | JSON, "parameters": PARAMETERS | JSON}
)
REQUEST = st.fixed_dictionaries(
    {},
    optional={
        "id": st.text(max_size=4) | JSON,
        "inputs": st.lists(INPUT, max_size=3) | JSON,
        "outputs": st.lists(OUTPUT, max_size=3) | JSON,
        "parameters": PARAMETERS | JSON,
    },
)
NAMES = st.sampled_from(["echo", "pair", "words", "flags", "fixed", "same-int8", "same-uint64", "same-float16", "nope"])


@examples(300)
@given(model=NAMES, document=REQUEST | JSON, blob=st.binary(max_size=40), length=st.none() | st.integers(-1, 400))
def test_no_request_breaks_the_server(
    shared_client: Client, model: str, document: Any, blob: bytes, length: int | None
) -> None:
    """Any JSON with any bytes behind it, whatever its length is said to be, is answered with 200, 400 or 404."""
    headers = {} if length is None else {"inference_header_content_length": str(length)}
    answer = infer(shared_client, model, document, blob, **headers)
    assert answer.status in {200, 400, 404}
    assert answer.status == 200 or answer.error


@examples(300)
@given(body=st.binary(max_size=200), length=st.sampled_from(["", "0", "5", "x"]), model=NAMES)
def test_no_bytes_break_the_server(shared_client: Client, body: bytes, length: str, model: str) -> None:
    """Any bytes are answered with 200, 400 or 404."""
    answer = shared_client.post(f"/v2/models/{model}/infer", body, inference_header_content_length=length)
    assert answer.status in {200, 400, 404}


@examples(300)
@given(
    model=st.sampled_from(["echo", "words"]), size=st.integers(0, 40), shape=st.lists(st.integers(0, 4), max_size=3),
    data=st.binary(max_size=40), datatype=st.sampled_from(["FP32", "BYTES"]), named=st.sampled_from(["x", "text"]),
)  # fmt: skip
def test_no_binary_tensor_breaks_the_server(
    shared_client: Client, model: str, size: int, shape: list[int], data: bytes, datatype: str, named: str
) -> None:
    """Bytes that claim to be a tensor are answered with 200 or 400."""
    request = {"inputs": [tensor(named, datatype, shape, binary_data_size=size)]}
    assert infer(shared_client, model, request, data, b"").status in {200, 400}


PATH = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="?#"), max_size=20)


@examples(300)
@given(method=st.sampled_from(["GET", "POST", "PUT", "OPTIONS", "HEAD"]), tail=PATH, query=PATH)
def test_no_path_breaks_the_server(shared_client: Client, method: str, tail: str, query: str) -> None:
    """Any path is answered with 200 or 4xx."""
    for head in ("/v2", "/v2/", "/v2/models/", "/v2/models/echo", "/v2/models/echo/versions/", "/v2/repository/"):
        assert shared_client.request(method, f"{head}{tail}?{query}").status < 500


def arrays(dtype: str) -> st.SearchStrategy[Array]:
    """Tensors of rows that a model of that dtype takes."""
    shapes = hnp.array_shapes(min_dims=2, max_dims=2, max_side=4)
    if dtype == "string":
        return hnp.arrays(object, shapes, elements=st.text(max_size=5))
    equal = (
        {"allow_nan": False} if dtype.startswith("float") else {}
    )  # one NaN is as good as another, but not its bytes
    return hnp.arrays(dtype, shapes, elements=equal)


@examples(40)
@given(data=st.data())
@pytest.mark.parametrize("dtype", DTYPES)
def test_bytes_and_json_say_the_same(shared_client: Client, dtype: str, data: st.DataObject) -> None:
    """A tensor sent either way and asked for either way is the same tensor, bit for bit."""
    array = data.draw(arrays(dtype))
    blob, shape, datatype = to_bytes(array), list(array.shape), DATATYPES[dtype]
    both = {"outputs": [{"name": "y", "parameters": {"binary_data": True}}]}
    in_json = {"inputs": [tensor("x", datatype, shape, array.tolist())]}
    in_bytes = {"inputs": [tensor("x", datatype, shape, binary_data_size=len(blob))]}

    for request, tail in ((in_json, ()), (in_bytes, (blob,))):
        answered, blobs = split(infer(shared_client, f"same-{dtype}", request | both, *tail))
        assert blobs == {"y": blob}
        assert (answered["outputs"][0]["shape"], answered["outputs"][0]["datatype"]) == (shape, datatype)
        (plain,) = json.loads(infer(shared_client, f"same-{dtype}", request, *tail).body)["outputs"]
        assert to_bytes(np.array(plain["data"], object if dtype == "string" else dtype)) == blob
