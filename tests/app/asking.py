"""The ways of asking a model: every protocol, each with what it answered and which version that was."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import grpc
import numpy as np
from tests.cli.conftest import Server
from tests.transport.grpc.protos import PredictRequest, PredictResponse
from tritonclient import grpc as triton
from tritonclient.utils import InferenceServerException

from fairlead.servable.signature import Array, Tensors, TensorSpec
from fairlead.transport.grpc.tensor_proto import DATA_TYPES, from_proto, write_proto
from fairlead.transport.v2.binary import to_bytes
from fairlead.transport.v2.datatype import DATATYPES

__all__ = ["WAYS", "Reply", "Way", "simple", "v1_grpc", "v1_rows", "v2_grpc", "v2_json"]

_CODES: Final = {200: "OK", 400: "INVALID_ARGUMENT", 404: "NOT_FOUND", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED"}
_NAMES: Final = {name: dtype for dtype, name in DATATYPES.items()}


@dataclass(frozen=True, kw_only=True, eq=False)
class Reply:
    """What came back.

    Attributes:
        code: the canonical code.
        said: why, where it is an error.
        values: the only output; of a classifier that is asked by people, its probabilities.
        version: which answered.
    """

    code: str
    said: str = ""
    values: Any = None
    version: str = ""


Way = Callable[[Server, str, Tensors], Reply]
"""Asks a server's model, by its name, these rows."""


def datatype(array: Array) -> str:
    """What the Open Inference Protocol calls the dtype."""
    return DATATYPES["string" if array.dtype == object else array.dtype.name]


def instances(inputs: Tensors) -> list[Any]:
    """Rows as REST has them: values, or objects with a value for each input."""
    if len(inputs) == 1:
        return list(next(iter(inputs.values())).tolist())
    lists = {name: array.tolist() for name, array in inputs.items()}
    return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]


def post(
    server: Server, path: str, body: bytes, headers: Mapping[str, str] | None = None
) -> tuple[Reply, bytes, Mapping[str, str]]:
    """A POST: its code and version, the body and the headers."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request("POST", path, body, dict(headers or {}))
        response = connection.getresponse()
        data = response.read()
    finally:
        connection.close()
    code = _CODES.get(response.status, str(response.status))
    said = "" if code == "OK" else data.decode()
    told = {name.lower(): value for name, value in response.getheaders()}
    return Reply(code=code, said=said, version=told.get("x-model-version", "")), data, told


def v1_rows(server: Server, name: str, inputs: Tensors) -> Reply:
    """TensorFlow Serving's REST API, by rows."""
    body = json.dumps({"instances": instances(inputs)}).encode()
    reply, data, _ = post(server, f"/v1/models/{name}:predict", body)
    return _with(reply, lambda: json.loads(data)["predictions"])


def v1_columns(server: Server, name: str, inputs: Tensors) -> Reply:
    """The same by columns."""
    body = json.dumps({"inputs": {key: array.tolist() for key, array in inputs.items()}}).encode()
    reply, data, _ = post(server, f"/v1/models/{name}:predict", body)
    return _with(reply, lambda: json.loads(data)["outputs"])


def v2_json(server: Server, name: str, inputs: Tensors) -> Reply:
    """The Open Inference Protocol's REST API."""
    tensors = [
        {"name": key, "shape": array.shape, "datatype": datatype(array), "data": array.ravel().tolist()}
        for key, array in inputs.items()
    ]
    reply, data, _ = post(server, f"/v2/models/{name}/infer", json.dumps({"inputs": tensors}).encode())

    def values() -> Array:
        (output,) = json.loads(data)["outputs"]
        assert json.loads(data)["model_version"] == reply.version
        return np.reshape(output["data"], output["shape"])

    return _with(reply, values)


def v2_binary(server: Server, name: str, inputs: Tensors) -> Reply:
    """The same with tensors as bytes, both ways."""
    parts = [to_bytes(array) for array in inputs.values()]
    tensors = [
        {
            "name": key,
            "shape": array.shape,
            "datatype": datatype(array),
            "parameters": {"binary_data_size": len(part)},
        }
        for (key, array), part in zip(inputs.items(), parts, strict=True)
    ]
    head = json.dumps({"inputs": tensors, "parameters": {"binary_data_output": True}}).encode()
    length = {"Inference-Header-Content-Length": str(len(head))}
    reply, data, headers = post(server, f"/v2/models/{name}/infer", head + b"".join(parts), length)

    def values() -> Array:
        size = int(headers["inference-header-content-length"])
        (output,) = json.loads(data[:size])["outputs"]
        return np.frombuffer(data[size:], _NAMES[output["datatype"]]).reshape(output["shape"])

    return _with(reply, values)


def v2_grpc(server: Server, name: str, inputs: Tensors) -> Reply:
    """Its gRPC API, by Triton's own client."""
    tensors = [triton.InferInput(key, array.shape, datatype(array)) for key, array in inputs.items()]
    for tensor, array in zip(tensors, inputs.values(), strict=True):
        texts = [text.encode() for text in array.ravel().tolist()] if array.dtype == object else []
        tensor.set_data_from_numpy(np.array(texts, object).reshape(array.shape) if texts else array)
    with triton.InferenceServerClient(f"127.0.0.1:{server.grpc_port}") as client:
        try:
            result = client.infer(name, tensors)
        except InferenceServerException as error:
            return Reply(code=str(error.status()).removeprefix("StatusCode."), said=str(error.message()))
    (output,) = result.get_response().outputs
    return Reply(code="OK", values=result.as_numpy(output.name), version=result.get_response().model_version)


def v1_grpc(server: Server, name: str, inputs: Tensors) -> Reply:
    """TensorFlow Serving's gRPC API."""
    request = PredictRequest()
    request.model_spec.name = name
    for key, array in inputs.items():
        write_proto(request.inputs[key], array)
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        predict = channel.unary_unary(
            "/tensorflow.serving.PredictionService/Predict",
            request_serializer=PredictRequest.SerializeToString,
            response_deserializer=PredictResponse.FromString,
        )
        try:
            response = predict(request, timeout=30)
        except grpc.RpcError as error:
            return Reply(code=error.code().name, said=error.details())
    ((key, output),) = response.outputs.items()
    dtype = next(name for name, number in DATA_TYPES.items() if number == output.dtype)
    shape = tuple(dim.size for dim in output.tensor_shape.dim)
    values = from_proto(TensorSpec(name=key, dtype=dtype, shape=shape), output, 2**24)
    return Reply(code="OK", values=values, version=str(response.model_spec.version.value))


def simple(server: Server, name: str, inputs: Tensors) -> Reply:
    """`POST /predict`: of a classifier the probability of each class by its name."""
    body = json.dumps({"instances": instances(inputs)}).encode()
    reply, data, _ = post(server, f"/predict?model={name}", body)

    def values() -> Any:
        answer = json.loads(data)
        if "outputs" in answer:
            (found,) = answer["outputs"].values()
            return found
        return [list(row["probabilities"].values()) for row in answer["predictions"]]

    return _with(reply, values)


WAYS: Final[tuple[Way, ...]] = (v1_rows, v1_columns, v1_grpc, v2_json, v2_binary, v2_grpc, simple)


def _with(reply: Reply, values: Callable[[], Any]) -> Reply:
    return Reply(code="OK", values=values(), version=reply.version) if reply.code == "OK" else reply
