"""What `kserve`'s clients find, each check a function; run as a module, it prints a verdict for each.

A process of its own, because kserve and tritonclient register the same protobuf names and cannot live in one.
"""

from __future__ import annotations

import asyncio
import json
import sys
import traceback

import grpc
import httpx
import numpy as np
import pytest
from kserve import (
    InferenceGRPCClient,
    InferenceRESTClient,
    InferInput,
    InferOutput,
    InferRequest,
    InferResponse,
    RESTConfig,
)
from kserve.protocol.infer_type import RequestedOutput
from tests.clients.models import DATATYPES, KINDS, MIXED, MIXED_ANSWER

from fairlead.servable.signature import Array

ROW = np.zeros((28, 28, 1)).tolist()
X = np.array([1, 2], np.float32)
Y = np.array([2.5, 3], np.float32)
BINARY = {"binary_data": True}


class Clients:
    """One of each kind, and where they find the server."""

    def __init__(self, rest_port: int, grpc_port: int) -> None:
        self.url = f"http://127.0.0.1:{rest_port}"
        self.v1 = InferenceRESTClient(RESTConfig(protocol="v1"))
        self.v2 = InferenceRESTClient(RESTConfig(protocol="v2"))
        self.grpc = InferenceGRPCClient(f"127.0.0.1:{grpc_port}")

    async def infer(self, request: InferRequest) -> InferResponse:
        """One inference over the second protocol's REST."""
        return await self.v2.infer(self.url, request, model_name=request.model_name)

    async def close(self) -> None:
        """Let the connections go."""
        await self.v1.close()
        await self.v2.close()
        await self.grpc.close()


def given(name: str, array: Array, *, binary: bool) -> InferInput:
    """`array` as an input."""
    dtype = "string" if array.dtype == object else array.dtype.name
    tensor = InferInput(name, list(array.shape), DATATYPES[dtype])
    tensor.set_data_from_numpy(array, binary_data=binary)
    return tensor


def assert_output(output: InferOutput, want: Array) -> None:
    """Assert that the tensor is `want`, to the last bit."""
    got = output.as_numpy()
    assert (got.dtype, got.shape) == (want.dtype, want.shape), (got.dtype, got.shape)
    assert got.tolist() == want.tolist(), got


async def check_v1_liveness(clients: Clients) -> None:
    """The first protocol asks at the root, and wants to hear "alive"."""
    assert await clients.v1.is_server_live(clients.url)


async def check_v1_predict(clients: Clients) -> None:
    """`instances` gives `predictions`."""
    answer = await clients.v1.infer(clients.url, {"instances": [1.0, 2.0]}, model_name="half_plus_two")

    assert answer == {"predictions": [2.5, 3.0]}, answer


async def check_v1_models_have_no_readiness(clients: Clients) -> None:
    """A model's page is TensorFlow Serving's, in which this client finds neither a yes nor a no."""
    assert await clients.v1.is_model_ready(clients.url, "digits") is None


async def check_v1_errors(clients: Clients) -> None:
    """The server's sentence is in the exception."""
    await assert_refused(clients.v1, clients.url, "nope", {"instances": [1.0]}, 404, "Servable not found")
    await assert_refused(clients.v1, clients.url, "half_plus_two", {}, 400, "Missing 'inputs' or 'instances' key")


async def check_v2_health(clients: Clients) -> None:
    """The server lives and is ready, and so is a model; one that nobody knows is not."""
    assert await clients.v2.is_server_live(clients.url)
    assert await clients.v2.is_server_ready(clients.url)
    assert await clients.v2.is_model_ready(clients.url, "digits")
    assert not await clients.v2.is_model_ready(clients.url, "nope")


async def check_v2_json(clients: Clients) -> None:
    """Each dtype that kserve sends as JSON comes back the same; it sends FP16 as bytes alone."""
    inputs = [given(f"x_{dtype}", array, binary=dtype == "float16") for dtype, array in KINDS.items()]

    response = await clients.infer(InferRequest("kinds", inputs))

    for dtype, array in KINDS.items():
        assert_output(response.get_output_by_name(f"y_{dtype}"), array)


async def check_v2_binary(clients: Clients) -> None:
    """Each dtype goes there and comes back as bytes, when all outputs are wanted so and when each is."""
    inputs = [given(f"x_{dtype}", array, binary=True) for dtype, array in KINDS.items()]
    each = [RequestedOutput(f"y_{dtype}", BINARY) for dtype in KINDS]
    for request in (
        InferRequest("kinds", inputs, parameters={"binary_data_output": True}),
        InferRequest("kinds", inputs, request_outputs=each),
    ):
        response = await clients.infer(request)

        for dtype, array in KINDS.items():
            assert_output(response.get_output_by_name(f"y_{dtype}"), array)


async def check_v2_several_types(clients: Clients) -> None:
    """Only the outputs that are wanted come back, in JSON and in bytes, with the request's id."""
    wanted = [RequestedOutput("same_text", BINARY), RequestedOutput("double"), RequestedOutput("opposite", BINARY)]
    inputs = [given(name, array, binary=index % 2 == 0) for index, (name, array) in enumerate(MIXED.items())]

    response = await clients.infer(InferRequest("mixed", inputs, request_id="a/1", request_outputs=wanted))

    assert (response.id, response.model_name) == ("a/1", "mixed")
    assert [output.name for output in response.outputs] == ["same_text", "double", "opposite"]
    for output in response.outputs:
        assert_output(output, MIXED_ANSWER[output.name])


async def check_v2_compressed_answers(clients: Clients) -> None:
    """The client takes gzip without being asked to, in JSON and in bytes."""
    image = given("image", np.zeros((50, 28, 28, 1), np.float32), binary=True)
    for parameters in ({}, {"binary_data_output": True}):
        headers: dict[str, str] = {}
        request = InferRequest("digits", [image], parameters=parameters)

        response = await clients.v2.infer(clients.url, request, model_name="digits", response_headers=headers)

        assert headers["content-encoding"] == "gzip"
        assert response.outputs[0].as_numpy().argmax(axis=1).tolist() == [7] * 50


async def check_v2_errors(clients: Clients) -> None:
    """The server's sentence is in the exception, whatever form the request has."""
    for binary in (True, False):
        fine, odd = given("x", X, binary=binary), given("z", X, binary=binary)
        doubles = given("x", X.astype(np.float64), binary=binary)
        column = given("x", X[:, np.newaxis], binary=binary)
        for inputs, model, status, words in [
            ([fine], "nope", 404, "unknown model: 'nope' is not found"),
            ([odd], "half_plus_two", 400, "unexpected inference input 'z'"),
            ([doubles], "half_plus_two", 400, "data-type is 'FP64', but model"),
            ([column], "half_plus_two", 400, "Expected [-1], got [2,1]"),
        ]:
            await assert_refused(clients.v2, clients.url, model, InferRequest(model, inputs), status, words)


async def check_v2_many_at_once(clients: Clients) -> None:
    """Each task gets the answer to its own rows."""
    requests = [InferRequest("half_plus_two", [given("x", X + n, binary=n % 2 == 0)]) for n in range(50)]

    responses = await asyncio.gather(*map(clients.infer, requests))

    for n, response in enumerate(responses):
        assert_output(response.outputs[0], Y + np.float32(n / 2))


async def check_grpc_health(clients: Clients) -> None:
    """The server lives and is ready, and so is a model; of one that nobody knows the client gets an error."""
    assert await clients.grpc.is_server_live()
    assert await clients.grpc.is_server_ready()
    assert await clients.grpc.is_model_ready("digits")
    with pytest.raises(grpc.RpcError) as caught:
        await clients.grpc.is_model_ready("nope")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def check_grpc_raw_contents(clients: Clients) -> None:
    """Each dtype goes there as bytes, and comes back so."""
    inputs = [given(f"x_{dtype}", array, binary=True) for dtype, array in KINDS.items()]

    response = await clients.grpc.infer(InferRequest("kinds", inputs))

    for dtype, array in KINDS.items():
        assert_output(response.get_output_by_name(f"y_{dtype}"), as_bytes(array))


async def check_grpc_typed_contents(clients: Clients) -> None:
    """Values in the fields of their types are taken too, and the outputs come back as bytes all the same."""
    inputs = [given(name, array, binary=False) for name, array in MIXED.items()]
    wanted = [RequestedOutput("same_text"), RequestedOutput("double")]

    response = await clients.grpc.infer(InferRequest("mixed", inputs, request_id="a/1", request_outputs=wanted))

    assert (response.id, response.model_name, response.model_version) == ("a/1", "mixed", "1")
    assert [output.name for output in response.outputs] == ["same_text", "double"]
    for output in response.outputs:
        assert_output(output, as_bytes(MIXED_ANSWER[output.name]))


async def check_grpc_versions(clients: Clients) -> None:
    """The version that is asked for answers."""
    image = given("image", np.zeros((1, 28, 28, 1), np.float32), binary=True)
    for version, digit in (("1", 3), ("2", 7), ("", 7)):
        response = await clients.grpc.infer(InferRequest("digits", [image], model_version=version))

        assert response.model_version == (version or "2")
        assert response.outputs[0].as_numpy().argmax() == digit


async def check_grpc_errors(clients: Clients) -> None:
    """Each fault has its code, and the server's sentence is in the details."""
    for binary in (True, False):
        fine, odd = given("x", X, binary=binary), given("z", X, binary=binary)
        doubles = given("x", X.astype(np.float64), binary=binary)
        for inputs, model, code, words in [
            ([fine], "nope", grpc.StatusCode.NOT_FOUND, "unknown model: 'nope' is not found"),
            ([odd], "half_plus_two", grpc.StatusCode.INVALID_ARGUMENT, "unexpected inference input 'z'"),
            ([doubles], "half_plus_two", grpc.StatusCode.INVALID_ARGUMENT, "data-type is 'FP64', but model"),
        ]:
            with pytest.raises(grpc.RpcError) as caught:
                await clients.grpc.infer(InferRequest(model, inputs))
            assert caught.value.code() is code, caught.value
            assert words in caught.value.details(), caught.value


async def check_grpc_deadline(clients: Clients) -> None:
    """The client gives up when it said it would, and the channel is as good as before."""
    turns = given("turns", np.array([1500], np.int64), binary=True)
    with pytest.raises(grpc.RpcError) as caught:
        await clients.grpc.infer(InferRequest("slow", [turns]), timeout=0.1)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert await clients.grpc.is_server_live()


def as_bytes(array: Array) -> Array:
    """`array` as the client shows what came as bytes: texts in UTF-8."""
    if array.dtype != object:
        return array
    return np.array([item.encode() for item in array.flat], object).reshape(array.shape)


async def assert_refused(
    client: InferenceRESTClient, url: str, model: str, request: object, status: int, words: str
) -> None:
    """Assert that the request is refused with this status, and that the exception says so."""
    with pytest.raises(httpx.HTTPStatusError) as caught:
        await client.infer(url, request, model_name=model)
    assert caught.value.response.status_code == status, caught.value
    assert words in str(caught.value), caught.value


async def verdicts(rest_port: int, grpc_port: int) -> dict[str, str]:
    """By check, what is wrong: nothing, or where it failed."""
    clients = Clients(rest_port, grpc_port)
    found = {}
    for name in [name for name in globals() if name.startswith("check_")]:
        try:
            await globals()[name](clients)
        except Exception:  # noqa: BLE001 - whatever a client raises is a verdict
            found[name] = traceback.format_exc()
        else:
            found[name] = ""
    await clients.close()
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(verdicts(*map(int, sys.argv[1:])))))
