"""What only `tritonclient.http` and its `aio` do: JSON beside binary tensors, compression, connections."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tests.cli.conftest import Server
from tests.clients.models import KINDS, check_tensor
from tests.clients.triton import HTTP, HTTP_AIO, Triton, connected
from tritonclient import http
from tritonclient.http import aio
from tritonclient.utils import InferenceServerException

X = np.array([1, 2], np.float32)
Y = np.array([2.5, 3], np.float32)
ROWS = np.zeros((50, 28, 28, 1), np.float32)


@pytest.fixture(params=(HTTP, HTTP_AIO), ids=lambda flavour: flavour.name)
def triton(request: pytest.FixtureRequest, server: Server) -> Iterator[Triton]:
    """A client of either flavour."""
    with connected(request.param, server) as opened:
        yield opened


@pytest.mark.parametrize("binary_out", [True, False])
@pytest.mark.parametrize("binary_in", [True, False])
def test_every_dtype_as_json_and_as_bytes(triton: Triton, binary_in: bool, binary_out: bool) -> None:
    """Each way in goes with each way out, and nothing is lost on either."""
    inputs = [triton.flavour.given(f"x_{dtype}", array, binary_data=binary_in) for dtype, array in KINDS.items()]
    outputs = [triton.flavour.wanted(f"y_{dtype}", binary_data=binary_out) for dtype in KINDS]

    result = triton.client.infer("kinds", inputs, outputs=outputs)

    for dtype, array in KINDS.items():
        assert ("data" in result.get_output(f"y_{dtype}")) is not binary_out
        check_tensor(result.as_numpy(f"y_{dtype}"), array)


def test_json_and_bytes_in_one_request(triton: Triton) -> None:
    """The bytes of those that come as bytes follow in the order of their inputs, and go back so."""
    inputs = [
        triton.flavour.given(f"x_{dtype}", array, binary_data=bool(index % 2))
        for index, (dtype, array) in enumerate(KINDS.items())
    ]
    outputs = [
        triton.flavour.wanted(f"y_{dtype}", binary_data=bool(index % 3)) for index, dtype in enumerate(reversed(KINDS))
    ]

    result = triton.client.infer("kinds", inputs, outputs=outputs)

    for dtype, array in KINDS.items():
        check_tensor(result.as_numpy(f"y_{dtype}"), array)


@pytest.mark.parametrize("coming_back", [None, "gzip", "deflate"])
@pytest.mark.parametrize("going_there", [None, "gzip", "deflate"])
@pytest.mark.parametrize("binary", [True, False])
def test_compression(triton: Triton, binary: bool, going_there: str | None, coming_back: str | None) -> None:
    """Each coding there goes with each coding back, in JSON and in bytes."""
    image = triton.flavour.given("image", ROWS, binary_data=binary)
    probs = triton.flavour.wanted("probs", binary_data=binary)

    result = triton.client.infer(
        "digits",
        [image],
        outputs=[probs],
        request_compression_algorithm=going_there,
        response_compression_algorithm=coming_back,
    )

    assert result.as_numpy("probs").argmax(axis=1).tolist() == [7] * len(ROWS)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_answers_are_compressed_when_the_client_can_read_them(server: Server, coding: str) -> None:
    """Bodies that the client only builds and reads: another library carries them, and sees the coding."""
    body, header_length = http.InferenceServerClient.generate_request_body([HTTP.given("image", ROWS)])
    headers = {"Inference-Header-Content-Length": str(header_length), "Accept-Encoding": coding}
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}/v2/models/digits/infer", body, headers)

    with urllib.request.urlopen(request, timeout=20) as response:
        assert response.headers["Content-Encoding"] == coding
        result = http.InferenceServerClient.parse_response_body(
            response.read(),
            header_length=int(response.headers["Inference-Header-Content-Length"]),
            content_encoding=coding,
        )

    assert result.as_numpy("probs").argmax(axis=1).tolist() == [7] * len(ROWS)


def test_queries_and_headers_of_the_client(triton: Triton) -> None:
    """What gateways want to see in a request does not matter here."""
    result = triton.infer("half_plus_two", {"x": X}, query_params={"tenant": "a b"}, headers={"X-Tenant": "a"})

    check_tensor(result.as_numpy("y"), Y)


def test_an_unknown_model_is_not_ready(triton: Triton) -> None:
    """The answer is an error, which the client takes for a no."""
    assert not triton.client.is_model_ready("nope")
    assert not triton.client.is_model_ready("digits", "9")


def test_bytes_that_are_no_text(triton: Triton) -> None:
    """A model that takes text refuses other bytes, and says so."""
    kinds = {f"x_{dtype}": array for dtype, array in KINDS.items()} | {"x_string": np.full((2, 2), b"\xff", object)}

    with pytest.raises(InferenceServerException, match=r"'x_string' holds bytes that are not text in UTF-8") as caught:
        triton.infer("kinds", kinds)

    assert caught.value.status() == "400"


def test_many_at_once(server: Server) -> None:
    """Greenlets share a few connections; each gets the answer to its own rows."""
    with http.InferenceServerClient(f"127.0.0.1:{server.port}", concurrency=4) as client:
        asked = [client.async_infer("half_plus_two", [HTTP.given("x", X + n)]) for n in range(20)]

        for n, request in enumerate(asked):
            check_tensor(request.get_result(timeout=20).as_numpy("y"), Y + np.float32(n / 2))


async def test_many_at_once_in_asyncio(server: Server) -> None:
    """So it is with tasks, those that are refused among them."""

    async def ask(n: int) -> Any:
        return await client.infer("half_plus_two" if n % 4 else "nope", [HTTP_AIO.given("x", X + n)])

    async with aio.InferenceServerClient(f"127.0.0.1:{server.port}", conn_limit=8) as client:
        results: list[Any] = await asyncio.gather(*map(ask, range(100)), return_exceptions=True)

    for n, result in enumerate(results):
        if n % 4:
            check_tensor(result.as_numpy("y"), Y + np.float32(n / 2))
        else:
            assert isinstance(result, InferenceServerException)


def test_a_client_that_waits_no_longer(server: Server) -> None:
    """It gives up at its own time limit, and the server goes on with others."""
    turns = HTTP.given("turns", np.array([1500], np.int64))
    address = f"127.0.0.1:{server.port}"

    with http.InferenceServerClient(address, network_timeout=0.1) as hasty, pytest.raises(TimeoutError):
        hasty.infer("slow", [turns])
    with connected(HTTP, server) as other:
        check_tensor(other.infer("half_plus_two", {"x": X}).as_numpy("y"), Y)


async def test_a_client_of_asyncio_that_waits_no_longer(server: Server) -> None:
    """So it is there."""
    turns = HTTP_AIO.given("turns", np.array([1500], np.int64))
    address = f"127.0.0.1:{server.port}"

    async with aio.InferenceServerClient(address, conn_timeout=0.1) as hasty:
        with pytest.raises(TimeoutError):
            await hasty.infer("slow", [turns])
    async with aio.InferenceServerClient(address) as other:
        assert await other.is_server_live()
