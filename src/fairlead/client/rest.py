"""Questions as requests of REST, and what is answered: the Open Inference Protocol V2 with tensors as bytes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, urlencode

import orjson

from fairlead.client.address import Address
from fairlead.client.call_error import CallError, left, unreadable
from fairlead.client.http_message import HttpAnswer, HttpRequest
from fairlead.client.question import (
    Describe,
    Give,
    Index,
    Infer,
    IsReady,
    ModelMetadata,
    ModelVersion,
    Prediction,
    Question,
)
from fairlead.client.tensors import read_classes, read_spec, read_tensor
from fairlead.errors import Code, FairleadError
from fairlead.servable.signature import Array
from fairlead.serving.target import Target
from fairlead.transport.v2.binary import to_bytes
from fairlead.transport.v2.datatype import datatype_of

__all__ = ["decode", "request_bytes"]

_JSON_LENGTH = "inference-header-content-length"
_OK = 200
_NOT_READY = 503
_PASSING = (408, 502, _NOT_READY)
"""408 is what some proxies say on a connection that nobody has used for a while."""

_TOO_MANY = 429
_CODES: Mapping[int, Code] = MappingProxyType(
    {
        400: Code.INVALID_ARGUMENT,
        401: Code.UNAUTHENTICATED,
        403: Code.PERMISSION_DENIED,
        404: Code.NOT_FOUND,
        408: Code.UNAVAILABLE,
        413: Code.RESOURCE_EXHAUSTED,
        429: Code.RESOURCE_EXHAUSTED,
        501: Code.UNIMPLEMENTED,
        502: Code.UNAVAILABLE,
        503: Code.UNAVAILABLE,
        504: Code.DEADLINE_EXCEEDED,
    }
)
"""What a proxy's status means; Fairlead itself says the code."""


def _encode(question: Question) -> HttpRequest:
    """What is sent for `question`."""
    match question:
        case Infer():
            return _infer(question)
        case Describe(target=target):
            return HttpRequest(method="GET", path=_model(target))
        case Index():
            return HttpRequest(method="POST", path="/v2/repository/index", body=b"{}")
        case IsReady(target=target):
            path = "/v2/health/ready" if target is None else f"{_model(target)}/ready"
            return HttpRequest(method="GET", path=path)
        case Give(labels=labels, model=model):
            pairs = [{"prediction_id": id_, "label": label} for id_, label in labels.items()]
            query = f"?{urlencode({'model': model})}" if model else ""
            return HttpRequest(method="POST", path=f"/feedback{query}", body=orjson.dumps({"labels": pairs}))


def request_bytes(question: Question, address: Address, deadline: float) -> bytes:
    """All that is sent for `question`: with who asks, and how long they wait.

    Raises:
        TimeoutError: when the deadline is over.
    """
    waits = ("x-request-timeout-ms", str(math.ceil(left(deadline) * 1000)))
    return _encode(question).encode(address.authority, address.prefix, (*address.credentials(), waits))


def decode(question: Question, answer: HttpAnswer, where: str) -> Any:
    """What `answer` says.

    Args:
        question: that it is for.
        answer: as it came.
        where: who gave it.

    Raises:
        FairleadError: that the server tells, or DATA_LOSS when nothing can be made of it.
    """
    if isinstance(question, IsReady) and answer.status in (_OK, _NOT_READY):
        return answer.status == _OK
    if answer.status != _OK:
        raise _refusal(answer, where)
    try:
        return _read(question, answer)
    except (ValueError, KeyError, TypeError, AttributeError, FairleadError) as error:
        raise unreadable(where, repr(error)[:200]) from error


def _model(target: Target) -> str:
    path = f"/v2/models/{quote(target.model, safe='')}"
    if target.label is not None:
        return f"{path}/labels/{quote(target.label, safe='')}"
    return path if target.version is None else f"{path}/versions/{target.version}"


def _infer(question: Infer) -> HttpRequest:
    blobs = [to_bytes(array) for array in question.tensors.values()]
    inputs = [
        {
            "name": name,
            "shape": array.shape,
            "datatype": datatype_of(array),
            "parameters": {"binary_data_size": len(blob)},
        }
        for (name, array), blob in zip(question.tensors.items(), blobs, strict=True)
    ]
    parameters: dict[str, Any] = {"binary_data_output": True}
    if question.sticky_key:
        parameters["sticky_key"] = question.sticky_key
    head = orjson.dumps({"id": question.request_id, "parameters": parameters, "inputs": inputs})
    return HttpRequest(
        method="POST",
        path=f"{_model(question.target)}/infer",
        headers=((_JSON_LENGTH, str(len(head))), ("content-type", "application/octet-stream")),
        body=b"".join((head, *blobs)),
    )


def _read(question: Question, answer: HttpAnswer) -> Any:
    match question:
        case Infer():
            return _prediction(question, answer)
        case Describe():
            page = orjson.loads(answer.body)
            return ModelMetadata(
                name=page["name"],
                versions=tuple(map(int, page["versions"])),
                platform=page["platform"],
                inputs=tuple(read_spec(**tensor) for tensor in page["inputs"]),
                outputs=tuple(read_spec(**tensor) for tensor in page["outputs"]),
                classes=read_classes(page.get("properties", {})),
            )
        case Index():
            return tuple(_version(entry) for entry in orjson.loads(answer.body))
        case Give():
            return {taken["prediction_id"]: taken["outcome"] for taken in orjson.loads(answer.body)["labels"]}
    raise TypeError(question)


def _prediction(question: Infer, answer: HttpAnswer) -> Prediction:
    at = int(answer.headers.get(_JSON_LENGTH, len(answer.body)))
    page, data = orjson.loads(answer.body[:at]), memoryview(answer.body)
    outputs: dict[str, Array] = {}
    for output in page["outputs"]:
        size = output["parameters"]["binary_data_size"]
        outputs[output["name"]] = read_tensor(output["name"], output["datatype"], output["shape"], data[at : at + size])
        at += size
    return question.answered(
        model=page["model_name"],
        version=page["model_version"],
        outputs=outputs,
        id_=answer.headers.get("x-prediction-id", ""),
        request_id=page.get("id", ""),
    )


def _version(entry: Mapping[str, str]) -> ModelVersion:
    version = entry.get("version")
    return ModelVersion(
        model=entry["name"],
        version=int(version) if version else None,
        state=entry.get("state", ""),
        reason=entry.get("reason", ""),
    )


def _refusal(answer: HttpAnswer, where: str) -> CallError:
    """The error in the shape of either API, or what the status of another answer means."""
    code = _CODES.get(answer.status, Code.UNKNOWN)
    message, hint = f"{where} answers with status {answer.status}", ""
    try:
        page = orjson.loads(answer.body)
        told = page["error"] if isinstance(page["error"], dict) else page
        code, hint = Code(told.get("code", code)), str(told.get("hint", ""))
        message = str(told.get("message", page["error"])).removesuffix(f" ({hint})")
    except (ValueError, KeyError, TypeError, AttributeError):
        pass  # a proxy's own page
    retry_after_s = _seconds(answer.headers.get("retry-after", ""))
    is_passing = answer.status in _PASSING or (answer.status == _TOO_MANY and retry_after_s is not None)
    return CallError(code, message, hint=hint, is_passing=is_passing, retry_after_s=retry_after_s or 0.0)


def _seconds(text: str) -> float | None:
    """What Retry-After says; None for a date, or nothing."""
    return float(text) if text.isascii() and text.isdigit() else None
