"""Whatever a client sends is its fault and not the server's, and the next request is answered."""

import io
import json
import struct
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.transport.conftest import Client
from tests.transport.examples import examples
from tests.transport.fakes import FakeCatalogue, FakePredictor, build_app


def huge_png() -> bytes:
    """The header of a PNG of 30,000 x 30,000 pixels, without any."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    end = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)) + end


def cut_jpeg() -> bytes:
    """The first half of a JPEG."""
    file = io.BytesIO()
    Image.effect_noise((200, 200), 90).save(file, "JPEG")
    return file.getvalue()[: len(file.getvalue()) // 2]


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("no bytes", b"", "0 bytes"),
        ("a text file", b"this is no picture", "neither PNG nor JPEG"),
        ("half a JPEG", cut_jpeg(), "damaged"),
        ("a huge PNG", huge_png(), "30000 x 30000"),
        ("a PNG that is only a signature", b"\x89PNG\r\n\x1a\n", "P"),
    ],
)
def test_bad_pictures(client: Client, name: str, data: bytes, said: str) -> None:
    """A picture that cannot be read is 400 and says why."""
    answer = client.post("/predict", data, content_type="image/png")
    assert answer.status == 400, name
    assert said in answer.error


@pytest.mark.parametrize(
    "rows",
    [
        b"[]", b"[[]]", b"[[[]]]", b"{}", b"null", b"1", b'"x"', b"[null]", b'["1"]', b"[true]", b"[[1, null]]",
        b"[NaN]", b"[[Infinity]]", b"[[-Infinity]]", b"[[1e39]]", b"[[1e309]]", b"[[1], [1, 2]]", b"[[1], 2]",
        b"[{}]", b'[{"image": 1}]', b'[{"b64": "AA=="}]', b"[" * 70 + b"]" * 70, b"[" * 5000 + b"]" * 5000,
        b"[[" + b"9" * 5000 + b"]]", b'["\\ud800"]', b"[[\xff]]",
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", [b'{"instances": %b}', b'{"inputs": %b}'])
def test_bad_rows(client: Client, form: bytes, rows: bytes) -> None:
    """Rows that are no tensor of the model are 400 with a reason, and the next request is answered."""
    for path in ("/v1/models/digits:predict", "/predict"):
        answer = client.post(path, form % rows)
        assert answer.status == 400
        assert answer.error
    assert client.predict("echo", {"instances": [[1.0]]}).status == 200


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)
BODIES: st.SearchStrategy[Any] = st.dictionaries(
    st.sampled_from(["instances", "inputs", "examples", "context", "signature_name", "image", "x"]), JSON, max_size=3
) | st.fixed_dictionaries({"instances": st.lists(JSON | st.fixed_dictionaries({"x": JSON}), max_size=3)})
BODIES |= st.fixed_dictionaries(
    {"examples": st.lists(st.fixed_dictionaries({"x": JSON | st.lists(st.floats(), max_size=2)}), max_size=3)}
)
MODELS = st.sampled_from(["digits", "echo", "pair", "words", "flags", "half", "serialized", "nope"])


@pytest.fixture(scope="module")
def shared_client() -> Client:
    """One application for all examples."""
    catalogue = FakeCatalogue()
    return Client(build_app(catalogue, FakePredictor(catalogue)))


@examples(300)
@given(model=MODELS, body=BODIES)
def test_no_json_breaks_the_server(shared_client: Client, model: str, body: dict[str, object]) -> None:
    """Any JSON body, NaN and Infinity in it or not, is answered with 200 or a 4xx that has a reason."""
    data = json.dumps(body).encode()
    verbs = [f"/v1/models/{model}:{verb}" for verb in ("predict", "classify", "regress")]
    for path in (*verbs, f"/predict?model={model}"):
        answer = shared_client.post(path, data)
        assert answer.status in {200, 400, 404}
        assert answer.status == 200 or answer.error


@examples(200)
@given(body=st.binary(max_size=200))
def test_no_bytes_break_the_server(shared_client: Client, body: bytes) -> None:
    """Any bytes are answered with 200 or 4xx, whatever they are said to be."""
    for path, headers in (("/v1/models/echo:predict", {}), ("/predict", {}), ("/predict", {"content_type": "image/x"})):
        assert shared_client.post(path, body, **headers).status in {200, 400}


PATH = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="?#"), max_size=20)


@examples(200)
@given(method=st.sampled_from(["GET", "POST", "PUT", "OPTIONS", "HEAD"]), tail=PATH, query=PATH)
def test_no_path_breaks_the_server(shared_client: Client, method: str, tail: str, query: str) -> None:
    """Any path is answered with 200 or 4xx."""
    for head in ("/", "/v1/", "/v1/models/", "/v1/models/echo", "/predict?", "/health/"):
        assert shared_client.request(method, f"{head}{tail}?{query}").status < 500
