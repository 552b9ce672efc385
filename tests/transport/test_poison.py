"""Bodies made to hurt are refused at once, in little memory, and the server is as well as before."""

import gzip
import json
import time
import tracemalloc
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest
from tests.transport.conftest import Client
from tests.transport.fakes import FakeCatalogue, FakePredictor, build_app

MIB = 2**20
LIMIT = 4 * MIB
PATHS = {
    "tfserving": "/v1/models/echo:predict",
    "examples": "/v1/models/half:classify",
    "v2": "/v2/models/echo/infer",
    "simple": "/predict?model=echo",
}
EVERYWHERE = tuple(PATHS)


@dataclass(frozen=True, kw_only=True)
class Poison:
    """A body, and what it deserves."""

    name: str
    body: bytes
    dialects: tuple[str, ...] = EVERYWHERE
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 400


def v2(**changes: object) -> bytes:
    """A request for one tensor."""
    given = {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1.0, 2.0]} | changes
    return json.dumps({"inputs": [{name: value for name, value in given.items() if value is not None}]}).encode()


def bomb(pack: Callable[[bytes], bytes]) -> bytes:
    """A gigabyte's worth of zeros, packed; a real one would be 1,000 times smaller than what it becomes."""
    return pack(b"0" * (64 * MIB))


POISONS = [
    Poison(name="nested 10,000 deep", body=b"[" * 10_000 + b"]" * 10_000),
    Poison(name="nested 1,000,000 deep", body=b'{"instances":' + b"[" * 1_000_000),
    Poison(name="objects 10,000 deep", body=b'{"inputs":' * 10_000 + b"1" + b"}" * 10_000),
    Poison(name="nested among flat lists", body=b'{"instances":[' + b"[]," * 200_000 + b"[" * 65),
    Poison(name="too large a number", body=b'{"instances":[[1e400]],"inputs":[1e400],"examples":[1e400]}'),
    Poison(name="a number of 100,000 digits", body=b'{"instances":[[' + b"9" * 100_000 + b"]]}"),
    Poison(name="invalid UTF-8", body=b'{"instances":[["\xff\xfe"]]}'),
    Poison(name="a surrogate alone", body=b'{"instances":[["\\ud800"]]}'),
    Poison(name="a string without end", body=b'{"instances":["' + b'\\"' * MIB),
    Poison(name="quotes alone", body=b'"' * (2 * MIB)),
    Poison(name="a token in a string without end", body=b'["NaN' + b"\\" * (2 * MIB)),
    Poison(name="100,000 members", body=json.dumps({f"k{number}": 0 for number in range(100_000)}).encode()),
    Poison(name="equal keys", body=b"{" + b",".join([b'"x":0'] * 100_000) + b"}"),
    Poison(name="commas", body=b'{"instances":[' + b"," * (2 * MIB) + b"]}"),
    Poison(name="nothing", body=b""),
    Poison(name="no JSON", body=b"\x00" * MIB),
    Poison(name="another encoding", body='{"instances": [[1.0]]}'.encode("utf-16")),
    Poison(name="a gzip bomb", body=bomb(gzip.compress), headers={"content_encoding": "gzip"}, status=413),
    Poison(
        name="a deflate bomb",
        body=bomb(zlib.compress),
        dialects=("v2", "simple"),
        headers={"content_encoding": "deflate"},
        status=413,
    ),
    Poison(name="half a gzip body", body=gzip.compress(b"0" * 100)[:20], headers={"content_encoding": "gzip"}),
    Poison(name="no gzip body", body=b"0" * 100, headers={"content_encoding": "gzip"}),
    Poison(name="a shape that overflows", body=v2(shape=[2**32, 2**32]), dialects=("v2",)),
    Poison(name="a shape beyond 64 bits", body=v2(shape=[2**70, 2]), dialects=("v2",)),
    Poison(name="an empty shape that overflows", body=v2(shape=[0, 2**62], data=[]), dialects=("v2",)),
    Poison(name="a shape of 100,000 axes", body=v2(shape=[1] * 100_000), dialects=("v2",)),
    Poison(
        name="a size that lies",
        body=v2(data=None, parameters={"binary_data_size": 2**62}),
        dialects=("v2",),
        headers={"inference_header_content_length": str(len(v2(data=None, parameters={"binary_data_size": 2**62})))},
    ),
    Poison(
        name="a length that lies",
        body=v2(),
        dialects=("v2",),
        headers={"inference_header_content_length": "9" * 30},
    ),
    Poison(name="100,000 inputs", body=json.dumps({"inputs": [{"name": "x"}] * 100_000}).encode(), dialects=("v2",)),
    Poison(
        name="ragged rows",
        body=b'{"instances":[[1],' + b",".join([b"[1,2]"] * 50_000) + b"]}",
        dialects=("simple", "tfserving"),
    ),
]


@pytest.fixture(scope="module")
def client() -> Client:
    """A client of an application that takes bodies of 4 MiB."""
    catalogue = FakeCatalogue()
    return Client(build_app(catalogue, FakePredictor(catalogue), max_body_bytes=LIMIT))


CASES = [(poison, dialect) for poison in POISONS for dialect in poison.dialects]


@pytest.mark.parametrize(("poison", "dialect"), CASES, ids=lambda one: one.name if isinstance(one, Poison) else one)
def test_poison_is_refused_at_once(client: Client, poison: Poison, dialect: str) -> None:
    """Each has its status within 100 ms of computing, and a reason that is short."""
    seconds: list[float] = []
    for _ in range(3):
        began = time.process_time()
        answer = client.post(PATHS[dialect], poison.body, **poison.headers)
        seconds.append(time.process_time() - began)
    assert answer.status == poison.status
    assert 0 < len(answer.error) < 2000
    assert min(seconds) < 0.1


@pytest.mark.parametrize(("poison", "dialect"), CASES, ids=lambda one: one.name if isinstance(one, Poison) else one)
def test_poison_takes_little_memory(client: Client, poison: Poison, dialect: str) -> None:
    """A multiple of its size, as any JSON takes, and never what it becomes unpacked."""
    tracemalloc.start()
    client.post(PATHS[dialect], poison.body, **poison.headers)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50 * max(len(poison.body), LIMIT if poison.status == 413 else 0) + MIB
    assert client.predict("echo", {"instances": [[1.0]]}).status == 200
