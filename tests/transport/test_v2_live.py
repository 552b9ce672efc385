"""The whole path of the Open Inference Protocol over a real socket."""

import gzip
import json
import struct
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPResponse

import pytest
from tests.transport.live import TIMEOUT_S, Running

FRONT = b'{"inputs":[{"name":"x","shape":[1,300],"datatype":"FP32","parameters":{"binary_data_size":1200}}]'
BINARY = FRONT + b',"parameters":{"binary_data_output":true}}'
BLOB = struct.pack("<300f", *range(300))
PATH = "/v2/models/echo/infer"


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """A server for all tests here."""
    server = Running(quiet_s=0.0)
    yield server
    server.drain()
    server.thread.join(TIMEOUT_S)


@pytest.fixture
def connection(running: Running) -> Iterator[HTTPConnection]:
    """A connection to it."""
    with closing(running.connect()) as opened:
        yield opened


def ask(connection: HTTPConnection, body: bytes, headers: dict[str, str]) -> tuple[HTTPResponse, bytes]:
    """One inference, and its body."""
    connection.request("POST", PATH, body, headers)
    answer = connection.getresponse()
    return answer, answer.read()


def test_bytes_in_and_out(connection: HTTPConnection) -> None:
    """The bytes that went in come out behind the JSON, again and again on one connection, compressed or not."""
    length = {"Inference-Header-Content-Length": str(len(BINARY))}
    for _ in range(3):
        answer, body = ask(connection, BINARY + BLOB, length)
        assert answer.status == 200
        assert body[int(answer.headers["inference-header-content-length"]) :] == BLOB
    packed = gzip.compress(BINARY + BLOB)
    answer, again = ask(connection, packed, length | {"Content-Encoding": "gzip", "Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(again) == body


def test_json_in_and_out_between_faults(connection: HTTPConnection) -> None:
    """A connection outlives refused requests."""
    good = b'{"id":"1","inputs":[{"name":"x","shape":[1,1],"datatype":"FP32","data":[0.5]}]}'
    for _ in range(2):
        answer, _ = ask(connection, BINARY + BLOB[:-1], {"Inference-Header-Content-Length": str(len(BINARY))})
        assert answer.status == 400
        answer, body = ask(connection, good, {})
        assert (answer.status, json.loads(body)["outputs"][0]["data"]) == (200, [0.5])


def test_pages(connection: HTTPConnection) -> None:
    """Probes and pages answer on the same port."""
    for path in ("/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/digits", "/v2/models/digits/ready"):
        connection.request("GET", path)
        answer = connection.getresponse()
        assert json.loads(answer.read())
        assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
