"""A client says how long it waits, in a header or in V2's parameter, and the predictor learns it."""

import time
from typing import Any

import orjson
import pytest
from tests.transport.conftest import Answer, Client
from tests.transport.fakes import FakePredictor
from tests.transport.v2_requests import echo

from fairlead.transport.deadline import asked_deadline, earlier

ROWS = orjson.dumps({"instances": [[1.0, 2.0]]})
WAYS = [
    ("/v1/models/echo:predict", ROWS),
    ("/v1/models/digits:classify", orjson.dumps({"examples": [{"image": [0.5] * 784}]})),
    ("/predict?model=echo", ROWS),
    ("/v2/models/echo/infer", orjson.dumps(echo())),
]
WAY = pytest.mark.parametrize(("path", "body"), WAYS)
V2 = "/v2/models/echo/infer"


def is_given(predictor: FakePredictor, seconds: int, asked_at: float) -> bool:
    """Whether the predictor was given so long, from a moment since `asked_at`."""
    assert predictor.deadline is not None
    return asked_at <= predictor.deadline - seconds <= time.monotonic()


@WAY
def test_the_headers(client: Client, predictor: FakePredictor, path: str, body: bytes) -> None:
    """Our own header and Envoy's are heard in every dialect; the earlier wins, and without them there is none."""
    for headers, expected in (
        ({"x_request_timeout_ms": "20000"}, 20),
        ({"x_envoy_expected_rq_timeout_ms": "30000"}, 30),
        ({"x_request_timeout_ms": "40000", "x_envoy_expected_rq_timeout_ms": "30000"}, 30),
    ):
        asked_at = time.monotonic()
        assert client.post(path, body, **headers).status == 200
        assert is_given(predictor, expected, asked_at)
    assert client.post(path, body).status == 200
    assert predictor.deadline is None


@WAY
@pytest.mark.parametrize("value", ["", "0", "-1", "+1", "1.5", "1e3", "soon", "9" * 13, "\u0663"])
def test_a_header_that_is_no_time(client: Client, path: str, body: bytes, value: str) -> None:
    """It is refused with 400, which names the header and its value."""
    for name in ("x-request-timeout-ms", "x-envoy-expected-rq-timeout-ms"):
        answer: Answer = client.post(path, body, **{name: value})
        assert answer.status == 400
        assert f"{name} is {value.encode().decode('latin-1')!r}" in answer.error


def test_the_parameter_of_v2(client: Client, predictor: FakePredictor) -> None:
    """It counts microseconds, 0 means that there is none, and the earliest deadline wins."""
    for timeout, header, expected in ((5_000_000, None, 5), (0, "9000", 9), (5_000_000, "9000", 5), (10**8, "9000", 9)):
        asked_at = time.monotonic()
        headers = {} if header is None else {"x_request_timeout_ms": header}
        assert client.post(V2, echo() | {"parameters": {"timeout": timeout}}, **headers).status == 200
        assert is_given(predictor, expected, asked_at)


@pytest.mark.parametrize("timeout", [-1, 1.5, "1", True])
def test_a_parameter_that_is_no_time(client: Client, timeout: Any) -> None:
    """It is refused with 400."""
    answer = client.post(V2, echo() | {"parameters": {"timeout": timeout}})
    assert answer.status == 400
    assert "'timeout'" in answer.error


def test_milliseconds_count_from_the_requests_arrival() -> None:
    """Not from the moment at which somebody looks at them."""
    assert asked_deadline(((b"x-request-timeout-ms", b"1500"),), 10.0) == 11.5
    assert asked_deadline(((b"accept", b"*/*"),), 10.0) is None


def test_the_earlier_of_two() -> None:
    """One that there is not is never the earlier."""
    assert [earlier(1.0, 2.0), earlier(None, 2.0), earlier(1.0, None), earlier(None, None)] == [1.0, 2.0, 1.0, None]
