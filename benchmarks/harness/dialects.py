"""Requests and answers of the protocols, as the bytes that the load generators send again and again."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.networks import INPUT, OUTPUT, Network, decimals
from fairlead.transport.grpc.messages import message_class

__all__ = ["GRPC_INFER", "GRPC_PREDICT", "ROWS_JSON", "V2_BINARY", "V2_JSON", "Dialect", "Payload"]

_HEADER_LENGTH = "inference-header-content-length"
_DT_FLOAT = 1
_PREFIX = struct.Struct(">?I")  # gRPC: compressed or not, and the message's length


@dataclass(frozen=True, kw_only=True)
class Payload:
    """What one request carries; the header names are in lower case."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """One protocol.

    Attributes:
        encode: a network and rows of it to the request.
        decode: an answer to its probabilities, float32, a row each.
        is_grpc: whether it travels over HTTP/2 behind gRPC's five bytes.
    """

    encode: Callable[[Network, NDArray[np.float32]], Payload]
    decode: Callable[[Payload], NDArray[np.float32]]
    is_grpc: bool = False


def _rows_json(_: Network, rows: NDArray[np.float32]) -> Payload:
    body = json.dumps({"instances": decimals(rows)}).encode()
    return Payload(body=body, headers={"content-type": "application/json"})


def _read_rows_json(answer: Payload) -> NDArray[np.float32]:
    body = json.loads(answer.body)
    return np.array(body["predictions"] if isinstance(body, dict) else body, np.float32)


def _v2_json(_: Network, rows: NDArray[np.float32]) -> Payload:
    tensor = {"name": INPUT, "shape": rows.shape, "datatype": "FP32", "data": decimals(rows.ravel())}
    return Payload(body=json.dumps({"inputs": [tensor]}).encode(), headers={"content-type": "application/json"})


def _read_v2_json(answer: Payload) -> NDArray[np.float32]:
    output = json.loads(answer.body)["outputs"][0]
    return np.array(output["data"], np.float32).reshape(output["shape"])


def _v2_binary(_: Network, rows: NDArray[np.float32]) -> Payload:
    tensor = {
        "name": INPUT,
        "shape": rows.shape,
        "datatype": "FP32",
        "parameters": {"binary_data_size": rows.nbytes},
    }
    wanted = {"name": OUTPUT, "parameters": {"binary_data": True}}
    head = json.dumps({"inputs": [tensor], "outputs": [wanted]}).encode()
    headers = {"content-type": "application/octet-stream", _HEADER_LENGTH: str(len(head))}
    return Payload(body=head + rows.tobytes(), headers=headers)


def _read_v2_binary(answer: Payload) -> NDArray[np.float32]:
    length = int(answer.headers[_HEADER_LENGTH])
    output = json.loads(answer.body[:length])["outputs"][0]
    return np.frombuffer(answer.body[length:], np.float32).reshape(output["shape"])


def _grpc_infer(network: Network, rows: NDArray[np.float32]) -> Payload:
    request = message_class("inference.ModelInferRequest")(model_name=network.name, raw_input_contents=[rows.tobytes()])
    request.inputs.add(name=INPUT, datatype="FP32", shape=rows.shape)
    return _grpc(request.SerializeToString())


def _read_grpc_infer(answer: Payload) -> NDArray[np.float32]:
    response = message_class("inference.ModelInferResponse").FromString(answer.body[_PREFIX.size :])
    output = response.outputs[0]
    if response.raw_output_contents:
        values = np.frombuffer(response.raw_output_contents[0], np.float32)
    else:
        values = np.array(output.contents.fp32_contents, np.float32)
    return values.reshape(list(output.shape) or (math.prod(values.shape),))


def _grpc_predict(network: Network, rows: NDArray[np.float32]) -> Payload:
    request = message_class("tensorflow.serving.PredictRequest")()
    request.model_spec.name = network.name
    tensor = request.inputs[INPUT]
    tensor.dtype, tensor.tensor_content = _DT_FLOAT, rows.tobytes()
    for size in rows.shape:
        tensor.tensor_shape.dim.add(size=size)
    return _grpc(request.SerializeToString())


def _read_grpc_predict(answer: Payload) -> NDArray[np.float32]:
    response = message_class("tensorflow.serving.PredictResponse").FromString(answer.body[_PREFIX.size :])
    tensor = response.outputs[OUTPUT]
    values = np.array(tensor.float_val, np.float32) if tensor.float_val else np.frombuffer(tensor.tensor_content, "<f4")
    return values.reshape([dim.size for dim in tensor.tensor_shape.dim])


def _grpc(message: bytes) -> Payload:
    headers = {"content-type": "application/grpc", "te": "trailers"}
    return Payload(body=_PREFIX.pack(False, len(message)) + message, headers=headers)


ROWS_JSON = Dialect(encode=_rows_json, decode=_read_rows_json)
"""TensorFlow Serving's `instances` and `predictions`, which FastAPI services and Python peers use as well."""

V2_JSON = Dialect(encode=_v2_json, decode=_read_v2_json)
V2_BINARY = Dialect(encode=_v2_binary, decode=_read_v2_binary)
GRPC_PREDICT = Dialect(encode=_grpc_predict, decode=_read_grpc_predict, is_grpc=True)
GRPC_INFER = Dialect(encode=_grpc_infer, decode=_read_grpc_infer, is_grpc=True)
