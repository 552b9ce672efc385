"""Bodies are inflated with a limit, and answers compressed for those who ask."""

import gzip
import zlib
from collections.abc import Callable

import pytest
from tests.transport.conftest import Client
from tests.transport.v2_requests import echo, infer, tensor

ROWS = b'{"instances": [[1.0, 2.0]]}'
TFS = "/v1/models/echo:predict"
SIMPLE = "/predict?model=echo"
V2 = "/v2/models/echo/infer"
V2_ROWS = b'{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1.0,2.0]}]}'
CODERS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress}
PLAIN: dict[str | None, Callable[[bytes], bytes]] = {None: bytes, "gzip": gzip.decompress, "deflate": zlib.decompress}
WAYS = [
    (TFS, ROWS, "gzip"),
    (SIMPLE, ROWS, "gzip"),
    (SIMPLE, ROWS, "deflate"),
    (V2, V2_ROWS, "gzip"),
    (V2, V2_ROWS, "deflate"),
]
BIG = {"inputs": [tensor("x", "FP32", [1, 1000], [0.5] * 1000)]}

WAY = pytest.mark.parametrize(("path", "body", "coding"), WAYS)


@WAY
def test_a_body_means_what_it_holds(client: Client, path: str, body: bytes, coding: str) -> None:
    """A compressed body is answered like the plain one."""
    answer = client.post(path, CODERS[coding](body), content_encoding=coding)
    assert answer.status == 200
    assert answer.json().get("outputs") == client.post(path, body).json().get("outputs")


@WAY
def test_a_bomb_is_refused(client: Client, path: str, body: bytes, coding: str) -> None:
    """A small body that inflates to a huge one is refused with 413, and no more than the limit of it is inflated."""
    answer = client.post(path, CODERS[coding](b" " * 50_000_000), content_encoding=coding)
    assert answer.status == 413


@WAY
def test_what_is_damaged_is_named(client: Client, path: str, body: bytes, coding: str) -> None:
    """A body that is cut short, or not compressed at all, is refused with 400 and the reason."""
    whole = CODERS[coding](body)
    for damaged in (b"{}", whole[:-5], b"", whole[:10] + b"\xff" + whole[11:]):
        answer = client.post(path, damaged, content_encoding=coding)
        assert answer.status == 400
        assert f"{coding} body is damaged" in answer.error


@pytest.mark.parametrize(("path", "body"), [(SIMPLE, ROWS), (V2, V2_ROWS)])
@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, deflate"])
def test_another_coding_is_not_offered(client: Client, path: str, body: bytes, coding: str) -> None:
    """The refusal says in a header which codings there are."""
    answer = client.post(path, body, content_encoding=coding)
    assert (answer.status, answer.headers["accept-encoding"]) == (501, "gzip, deflate")
    assert coding in answer.error
    assert client.post(path, body, content_encoding="Identity").status == 200


def test_the_json_length_is_that_of_the_plain_body(client: Client) -> None:
    """The header that says where the JSON ends counts bytes before compression."""
    front = b'{"inputs":[{"name":"x","shape":[1,1],"datatype":"FP32","parameters":{"binary_data_size":4}}]}'
    body = zlib.compress(front + b"\x00\x00\x80\x3f")
    answer = client.post(V2, body, content_encoding="deflate", inference_header_content_length=str(len(front)))
    assert answer.json()["outputs"][0]["data"] == [1.0]


@pytest.mark.parametrize(
    ("asked", "coding"),
    [
        ("gzip", "gzip"),
        ("deflate", "deflate"),
        ("gzip, deflate, br, zstd", "gzip"),
        ("br, zstd, deflate", "deflate"),
        ("GZIP", "gzip"),
        ("gzip;q=0.2, deflate; q=0.8", "deflate"),
        ("gzip;q=0.5, identity", None),
        ("gzip;q=0", None),
        ("gzip;q=x", None),
        ("identity, gzip", None),
        ("br", None),
        ("*", None),
        ("", None),
        (",;,q=1", None),
    ],
)
def test_an_answer_is_compressed_as_the_client_likes_it(client: Client, asked: str, coding: str | None) -> None:
    """The greatest weight wins, the first of equals, and nothing but gzip and deflate is ever written."""
    answer = infer(client, "echo", BIG, accept_encoding=asked)
    assert answer.headers.get("content-encoding") == coding
    assert PLAIN[coding](answer.body) == infer(client, "echo", BIG).body


def test_little_is_left_as_it_is(client: Client) -> None:
    """Small answers, errors and pages are never compressed."""
    for answer in (
        infer(client, "echo", echo(), accept_encoding="gzip"),
        infer(client, "echo", {}, accept_encoding="gzip"),
        client.request("GET", "/v2/models/echo", accept_encoding="gzip"),
    ):
        assert "content-encoding" not in answer.headers


def test_an_answer_in_bytes_is_compressed_whole(client: Client) -> None:
    """The length of the JSON is told as it was before compression."""
    plain = infer(client, "echo", BIG | {"parameters": {"binary_data_output": True}})
    packed = infer(client, "echo", BIG | {"parameters": {"binary_data_output": True}}, accept_encoding="gzip")
    assert gzip.decompress(packed.body) == plain.body
    assert packed.headers["inference-header-content-length"] == plain.headers["inference-header-content-length"]
