"""What only `tritonclient.grpc` and its `aio` do: streams, callbacks, deadlines, gRPC's own compression."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import pytest
from tests.cli.conftest import Server
from tests.clients.models import KINDS, check_tensor
from tests.clients.triton import GRPC, GRPC_AIO, Triton, connected
from tritonclient.grpc import aio
from tritonclient.utils import InferenceServerException

TIMEOUT_S = 20.0
X = np.array([1, 2], np.float32)
Y = np.array([2.5, 3], np.float32)
ROWS = np.zeros((50, 28, 28, 1), np.float32)


@pytest.fixture(params=(GRPC, GRPC_AIO), ids=lambda flavour: flavour.name)
def triton(request: pytest.FixtureRequest, server: Server) -> Iterator[Triton]:
    """A client of either flavour."""
    with connected(request.param, server) as opened:
        yield opened


@pytest.mark.parametrize("coding", [None, "gzip", "deflate"])
def test_compression(triton: Triton, coding: str | None) -> None:
    """Messages may come in any of gRPC's codings."""
    result = triton.infer("digits", {"image": ROWS}, compression_algorithm=coding)

    assert result.as_numpy("probs").argmax(axis=1).tolist() == [7] * len(ROWS)


def test_outputs_are_raw(triton: Triton) -> None:
    """The client reads nothing else: one blob for each output, in their order."""
    response = triton.infer("kinds", {f"x_{dtype}": array for dtype, array in KINDS.items()}).get_response()

    assert [output.name for output in response.outputs] == [f"y_{dtype}" for dtype in KINDS]
    assert len(response.raw_output_contents) == len(KINDS)
    assert not any(output.HasField("contents") for output in response.outputs)


def test_an_unknown_model_is_not_found(triton: Triton) -> None:
    """Whether it is ready is no question then."""
    for arguments in (("nope",), ("digits", "9")):
        with pytest.raises(InferenceServerException) as caught:
            triton.client.is_model_ready(*arguments)
        assert caught.value.status() == "StatusCode.NOT_FOUND"


@pytest.mark.parametrize("version", ["-1", "one", "1.0", str(2**64)])
def test_versions_that_are_no_numbers(triton: Triton, version: str) -> None:
    """A version is a number of 64 bits, whatever examples elsewhere say of -1."""
    with pytest.raises(InferenceServerException, match=r"[Vv]ersion") as caught:
        triton.infer("digits", {"image": ROWS}, model_version=version)

    assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"


def test_a_deadline(triton: Triton) -> None:
    """The client gives up when it said it would, and the connection is as good as before."""
    with pytest.raises(InferenceServerException) as caught:
        triton.infer("slow", {"turns": np.array([1500], np.int64)}, client_timeout=0.1)

    assert caught.value.status() == "StatusCode.DEADLINE_EXCEEDED"
    check_tensor(triton.infer("half_plus_two", {"x": X}, client_timeout=TIMEOUT_S).as_numpy("y"), Y)


def test_a_message_that_is_too_large(triton: Triton) -> None:
    """The error names the limit's setting."""
    with pytest.raises(InferenceServerException, match="FAIRLEAD_MAX_BODY_BYTES") as caught:
        triton.infer("half_plus_two", {"x": np.zeros(2**24 + 1, np.float32)})

    assert caught.value.status() == "StatusCode.RESOURCE_EXHAUSTED"


def test_headers_of_the_client(triton: Triton) -> None:
    """Metadata for gateways does not matter here."""
    result = triton.infer("half_plus_two", {"x": X}, headers={"x-tenant": "a", "authorization": "Bearer b"})

    check_tensor(result.as_numpy("y"), Y)


class Answers:
    """What a callback was told, in order."""

    def __init__(self) -> None:
        self._told: queue.Queue[tuple[Any, Any]] = queue.Queue()

    def __call__(self, result: Any, error: Any) -> None:
        self._told.put((result, error))

    def take(self, count: int) -> list[tuple[Any, Any]]:
        """The next so many."""
        return [self._told.get(timeout=TIMEOUT_S) for _ in range(count)]


def test_many_at_once(server: Server) -> None:
    """Calls share one connection; each callback is told of its own request."""
    answers = Answers()
    with connected(GRPC, server) as triton:
        for n in range(50):
            triton.client.async_infer("half_plus_two", [GRPC.given("x", X + n)], answers, request_id=str(n))
        triton.client.async_infer("nope", [GRPC.given("x", X)], answers)
        told = answers.take(51)

    (error,) = (error for _, error in told if error is not None)
    assert error.status() == "StatusCode.NOT_FOUND"
    results = [result for result, error in told if error is None]
    for result in results:
        check_tensor(result.as_numpy("y"), Y + np.float32(int(result.get_response().id) / 2))
    assert {result.get_response().id for result in results} == {str(n) for n in range(50)}


def test_a_call_that_is_cancelled(server: Server) -> None:
    """Its callback hears so, and others go on."""
    answers = Answers()
    with connected(GRPC, server) as triton:
        call = triton.client.async_infer("slow", [GRPC.given("turns", np.array([1500], np.int64))], answers)
        call.cancel()

        ((result, error),) = answers.take(1)
        assert (result, error.status()) == (None, "StatusCode.CANCELLED")
        check_tensor(triton.infer("half_plus_two", {"x": X}).as_numpy("y"), Y)


@pytest.mark.parametrize("coding", [None, "gzip"])
def test_a_stream(server: Server, coding: str | None) -> None:
    """Answers come in the order of the requests; one that is refused ends nothing."""
    answers = Answers()
    models = ["half_plus_two", "nope", "half_plus_two"] * 5
    with connected(GRPC, server) as triton:
        triton.client.start_stream(answers, compression_algorithm=coding)
        for n, model in enumerate(models):
            triton.client.async_stream_infer(model, [GRPC.given("x", X + n)], request_id=str(n))
        told = answers.take(len(models))
        triton.client.stop_stream()

    for n, (model, (result, error)) in enumerate(zip(models, told, strict=True)):
        if model == "nope":
            assert "unknown model: 'nope' is not found" in error.message()
        else:
            assert result.get_response().id == str(n)
            check_tensor(result.as_numpy("y"), Y + np.float32(n / 2))


def test_a_stream_that_times_out(server: Server) -> None:
    """The callback hears of the deadline."""
    answers = Answers()
    with connected(GRPC, server) as triton:
        triton.client.start_stream(answers, stream_timeout=0.1)
        triton.client.async_stream_infer("slow", [GRPC.given("turns", np.array([1500], np.int64))])

        ((_, error),) = answers.take(1)
    assert error.status() == "StatusCode.DEADLINE_EXCEEDED"


async def test_many_at_once_in_asyncio(server: Server) -> None:
    """Tasks share one connection; each gets the answer to its own rows."""

    async def ask(n: int) -> Any:
        return await client.infer("half_plus_two" if n % 4 else "nope", [GRPC_AIO.given("x", X + n)])

    async with aio.InferenceServerClient(f"127.0.0.1:{server.grpc_port}") as client:
        results: list[Any] = await asyncio.gather(*map(ask, range(100)), return_exceptions=True)

    for n, result in enumerate(results):
        if n % 4:
            check_tensor(result.as_numpy("y"), Y + np.float32(n / 2))
        else:
            assert isinstance(result, InferenceServerException)


async def test_a_stream_in_asyncio(server: Server) -> None:
    """Answers come in the order of the requests, each as soon as it is there."""

    async def requests() -> AsyncIterator[dict[str, Any]]:
        for n in range(10):
            yield {"model_name": "half_plus_two" if n % 4 else "nope", "inputs": [GRPC_AIO.given("x", X + n)]}
            await asked.wait()

    asked = asyncio.Event()
    async with aio.InferenceServerClient(f"127.0.0.1:{server.grpc_port}") as client:
        stream = client.stream_infer(requests(), stream_timeout=TIMEOUT_S)
        told = [await anext(stream)]  # while the request after it has not been made
        asked.set()
        told += [answer async for answer in stream]

    assert len(told) == 10
    for n, (result, error) in enumerate(told):
        if n % 4:
            check_tensor(result.as_numpy("y"), Y + np.float32(n / 2))
        else:
            assert "'nope' is not found" in error.message()
