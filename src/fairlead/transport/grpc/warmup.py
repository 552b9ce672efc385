"""Records of TensorFlow Serving's warm-up files: the log of a request that a client sent once."""

from __future__ import annotations

from collections.abc import Iterable

from fairlead.errors import Code, FairleadError
from fairlead.servable.servable import LoadedModel
from fairlead.servable.signature import Signature
from fairlead.servable.warmup import WarmupRequest
from fairlead.transport.grpc.example_message import read_examples
from fairlead.transport.grpc.messages import DecodeError, Message, message_class
from fairlead.transport.grpc.tensor_proto import from_proto
from fairlead.transport.invalid import invalid
from fairlead.transport.tfserving.examples import decode_examples

__all__ = ["decode_warmup"]

_PredictionLog = message_class("tensorflow.serving.PredictionLog")
_MAX_BYTES = 2**30


def decode_warmup(record: bytes, model: LoadedModel) -> Iterable[WarmupRequest]:
    """The requests in a PredictionLog: one, or for a multi-inference one for each of its tasks.

    Raises:
        FairleadError: DATA_LOSS when it is none, UNIMPLEMENTED for a kind of log that is not replayed, INVALID_ARGUMENT
            when the model has no such signature or inputs.
    """
    try:
        log = _PredictionLog.FromString(record)
    except DecodeError as error:
        raise FairleadError(Code.DATA_LOSS, f"it is no PredictionLog: {error}") from error
    match log.WhichOneof("log_type"):
        case "predict_log":
            return [_predict(log.predict_log.request, model)]
        case "classify_log" | "regress_log" as kind:
            request = getattr(log, kind).request
            return [_examples(request.model_spec, request.input, model)]
        case "multi_inference_log":
            request = log.multi_inference_log.request
            return [_examples(task.model_spec, request.input, model) for task in request.tasks]
        case kind:
            raise FairleadError(
                Code.UNIMPLEMENTED,
                f"a PredictionLog with {kind or 'nothing'} in it is not replayed",
                hint="log predict, classify, regress or multi_inference requests",
            )


def _predict(request: Message, model: LoadedModel) -> WarmupRequest:
    name, signature = _signature(request.model_spec, model)
    unknown = sorted(request.inputs.keys() ^ {spec.name for spec in signature.inputs})
    if unknown:
        raise invalid(f"the inputs {unknown} are in the request or in signature {name!r}, but not in both")
    inputs = {spec.name: from_proto(spec, request.inputs[spec.name], _MAX_BYTES) for spec in signature.inputs}
    return WarmupRequest(signature=name, inputs=inputs)


def _examples(model_spec: Message, given: Message, model: LoadedModel) -> WarmupRequest:
    name, signature = _signature(model_spec, model)
    return WarmupRequest(signature=name, inputs=decode_examples(read_examples(given), signature))


def _signature(model_spec: Message, model: LoadedModel) -> tuple[str, Signature]:
    name = model.meant_by(model_spec.signature_name)
    if name not in model.signatures:
        raise invalid(f"the model has no signature {name!r}")
    return name, model.signatures[name]
