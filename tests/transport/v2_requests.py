"""Requests of the Open Inference Protocol, in JSON and with bytes behind it."""

import json
from typing import Any

import orjson
from tests.transport.conftest import Answer, Client


def tensor(name: str, datatype: str, shape: list[int], data: Any = None, **parameters: Any) -> dict[str, Any]:
    """An input; without `data` it has none."""
    described: dict[str, Any] = {"name": name, "datatype": datatype, "shape": shape}
    described |= {} if data is None else {"data": data}
    return described | ({"parameters": parameters} if parameters else {})


def echo(**changes: Any) -> dict[str, Any]:
    """A request that the model "echo" answers, unless `changes` spoil its input."""
    return {"inputs": [tensor("x", "FP32", [1, 2], [1.0, 2.0]) | changes]}


def infer(client: Client, model: str, document: Any, *blobs: bytes, **headers: str) -> Answer:
    """Ask; bytes are announced in the header that says where the JSON ends."""
    front = document if isinstance(document, bytes) else json.dumps(document).encode()
    announced = {"inference_header_content_length": str(len(front))} if blobs else {}
    return client.post(f"/v2/models/{model}/infer", front + b"".join(blobs), **(announced | headers))


def split(answer: Answer) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The JSON at the front of an answer, and the bytes behind it by output."""
    front = int(answer.headers.get("inference-header-content-length", len(answer.body)))
    document: dict[str, Any] = orjson.loads(answer.body[:front])
    blobs: dict[str, bytes] = {}
    for output in document["outputs"]:
        if "data" not in output:
            end = front + output["parameters"]["binary_data_size"]
            blobs[output["name"]], front = answer.body[front:end], end
    assert front == len(answer.body)
    return document, blobs
