"""Questions as calls of gRPC, and what is answered: the Open Inference Protocol V2 with tensors as raw contents."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from fairlead.client.call_error import CallError, unreadable
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
from fairlead.serving.target import Target
from fairlead.transport.grpc.messages import Message, message_class
from fairlead.transport.v2.binary import to_bytes
from fairlead.transport.v2.datatype import datatype_of

__all__ = ["GrpcCall", "Metadata", "decode", "encode", "refusal"]

Metadata = Iterable[tuple[str, str | bytes]]

_PUSHBACK = "grpc-retry-pushback-ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcCall:
    """A call of the inference service.

    Attributes:
        method: of the service.
        message: what goes out.
        metadata: that goes with it.
    """

    method: str
    message: Message
    metadata: tuple[tuple[str, str], ...] = ()

    @property
    def path(self) -> str:
        return f"/inference.GRPCInferenceService/{self.method}"

    @property
    def answer(self) -> Message:
        return _class(f"{self.method}Response")


def encode(question: Question) -> GrpcCall:
    """What is called for `question`.

    Raises:
        FairleadError: UNIMPLEMENTED for what a server takes over REST alone.
    """
    match question:
        case Infer(target=target):
            return GrpcCall(method="ModelInfer", message=_infer(question), metadata=_label(target))
        case Describe(target=target):
            return _about("ModelMetadata", target)
        case Index():
            return GrpcCall(method="RepositoryIndex", message=_class("RepositoryIndexRequest")())
        case IsReady(target=Target() as target):
            return _about("ModelReady", target)
        case IsReady():
            return GrpcCall(method="ServerReady", message=_class("ServerReadyRequest")())
        case Give():
            raise FairleadError(
                Code.UNIMPLEMENTED, "feedback is taken over REST alone", hint='fairlead.Client("http://HOST:8501")'
            )


def decode(question: Question, answer: Message, metadata: Metadata, where: str) -> Any:
    """What `answer` and the metadata before it say.

    Raises:
        FairleadError: DATA_LOSS when nothing can be made of them.
    """
    try:
        return _read(question, answer, _texts(metadata))
    except (ValueError, KeyError, FairleadError) as error:
        raise unreadable(where, repr(error)[:200]) from error


def refusal(code: str, details: str, metadata: Metadata, where: str) -> CallError:
    """The error of a call that failed.

    Args:
        code: gRPC's name for it.
        details: what the server says.
        metadata: behind the answer.
        where: who was asked.
    """
    fields = _texts(metadata)
    hint, pushback = unquote(fields.get("x-hint", "")), fields.get(_PUSHBACK)
    message = details.removesuffix(f" ({hint})")
    is_passing = code == Code.UNAVAILABLE or (code == Code.RESOURCE_EXHAUSTED and pushback is not None)
    seconds = _milliseconds(pushback) / 1000
    return CallError(
        Code(code),
        message or f"{where} answers {code}",
        hint=hint,
        is_passing=is_passing and seconds >= 0,  # a negative one says never
        retry_after_s=max(seconds, 0.0),
    )


def _class(name: str) -> Message:
    return message_class(f"inference.{name}")


def _about(method: str, target: Target) -> GrpcCall:
    message = _class(f"{method}Request")(name=target.model, version=_version(target))
    return GrpcCall(method=method, message=message, metadata=_label(target))


def _version(target: Target) -> str:
    return "" if target.version is None else str(target.version)


def _label(target: Target) -> tuple[tuple[str, str], ...]:
    return () if target.label is None else (("x-model-label", target.label),)


def _infer(question: Infer) -> Message:
    target = question.target
    message = _class("ModelInferRequest")(
        model_name=target.model, model_version=_version(target), id=question.request_id
    )
    if question.sticky_key:
        message.parameters["sticky_key"].string_param = question.sticky_key
    for name, array in question.tensors.items():
        message.inputs.add(name=name, datatype=datatype_of(array), shape=array.shape)
        message.raw_input_contents.append(to_bytes(array))
    return message


def _read(question: Question, answer: Message, fields: dict[str, str]) -> Any:
    match question:
        case Infer():
            return _prediction(question, answer, fields.get("x-prediction-id", ""))
        case Describe():
            return ModelMetadata(
                name=answer.name,
                versions=tuple(map(int, answer.versions)),
                platform=answer.platform,
                inputs=tuple(read_spec(tensor.name, tensor.datatype, tensor.shape) for tensor in answer.inputs),
                outputs=tuple(read_spec(tensor.name, tensor.datatype, tensor.shape) for tensor in answer.outputs),
                classes=read_classes(answer.properties),
            )
        case Index():
            return tuple(
                ModelVersion(
                    model=entry.name,
                    version=int(entry.version) if entry.version else None,
                    state=entry.state,
                    reason=entry.reason,
                )
                for entry in answer.models
            )
    return bool(answer.ready)


def _prediction(question: Infer, answer: Message, id_: str) -> Prediction:
    outputs = {
        output.name: read_tensor(output.name, output.datatype, output.shape, memoryview(raw))
        for output, raw in zip(answer.outputs, answer.raw_output_contents, strict=True)
    }
    return question.answered(
        model=answer.model_name, version=answer.model_version, outputs=outputs, id_=id_, request_id=answer.id
    )


def _texts(metadata: Metadata) -> dict[str, str]:
    return {name: value if isinstance(value, str) else "" for name, value in metadata}


def _milliseconds(text: str | None) -> int:
    return int(text) if text and text.removeprefix("-").isdecimal() else 0
