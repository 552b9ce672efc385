"""ModelInferRequest and ModelInferResponse: what is asked, and what is answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fairlead.serving.predictor import Prediction
from fairlead.transport.grpc.messages import Message, message_class
from fairlead.transport.grpc.packed import take_packed
from fairlead.transport.invalid import invalid
from fairlead.transport.v2.answer import wanted_arrays
from fairlead.transport.v2.binary import text_of, to_bytes
from fairlead.transport.v2.datatype import BYTES, datatype_of
from fairlead.transport.v2.inference import KEY, Given, Inference, Wanted

__all__ = ["encode_response", "read_request"]

_Response = message_class("inference.ModelInferResponse")

_PACKED = {
    "BOOL": ("bool_contents", "bool"),
    "FP32": ("fp32_contents", "float32"),
    "FP64": ("fp64_contents", "float64"),
}
_LISTED = (
    dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents")
    | dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents")
    | {"INT64": "int64_contents", "UINT64": "uint64_contents", BYTES: "bytes_contents"}
)
"""Where the values of a datatype are."""


def read_request(request: Message) -> Inference:
    """What a ModelInferRequest asks. Of its typed contents nothing is left afterwards.

    Raises:
        FairleadError: INVALID_ARGUMENT when it makes no sense, whatever the model.
    """
    return Inference(
        id=request.id,
        given=tuple(_given(request)),
        wanted=tuple(_wanted(output) for output in request.outputs),
        is_binary=True,
        timeout_us=_count(request.parameters, "timeout", "the request"),
        key=_text(request.parameters, KEY, "the request"),
    )


def encode_response(inference: Inference, prediction: Prediction) -> Message:
    """The answer, always in raw contents: Triton's clients read nothing else."""
    manifest = prediction.manifest
    response = _Response(model_name=manifest.model, model_version=str(manifest.version), id=inference.id)
    for wanted, array in wanted_arrays(inference, prediction):
        output = response.outputs.add(name=wanted.name, datatype=datatype_of(array))
        output.shape.extend(array.shape)
        response.raw_output_contents.append(to_bytes(array))
    return response


def _given(request: Message) -> Iterator[Given]:
    """The inputs, each with its bytes or values. Raw contents that no input claims are ignored, as Triton does."""
    raw = request.raw_input_contents
    for index, tensor in enumerate(request.inputs):
        _check_parameters(tensor.name, tensor.parameters)
        shape = tuple(tensor.shape)
        if min(shape, default=0) < 0:
            raise invalid(f"shape {list(shape[:80])} of input {tensor.name[:80]!r} has a negative size")
        if not raw:
            data = _contents(tensor)
        elif tensor.HasField("contents"):
            raise invalid(
                f"contents field must not be specified when using raw_input_contents for {tensor.name[:80]!r}"
            )
        elif index < len(raw):
            data = memoryview(raw[index])
        else:
            raise invalid(f"unable to find data for input tensor {tensor.name[:80]!r} in raw_input_contents")
        yield Given(name=tensor.name, datatype=tensor.datatype, shape=shape, data=data)


def _contents(tensor: Message) -> list[Any] | memoryview:
    datatype = tensor.datatype
    if datatype in _PACKED:
        return memoryview(take_packed(tensor.contents, *_PACKED[datatype]).tobytes())
    if datatype not in _LISTED:
        raise invalid(f"{datatype[:80]!r} of input {tensor.name[:80]!r} has no typed contents: send it raw")
    values = list(getattr(tensor.contents, _LISTED[datatype]))
    return [text_of(value) for value in values] if datatype == BYTES else values


def _wanted(output: Message) -> Wanted:
    _check_parameters(output.name, output.parameters)
    where = f"output {output.name[:80]!r}"
    return Wanted(name=output.name, is_binary=True, classes=_count(output.parameters, "classification", where))


def _count(parameters: Mapping[str, Message], key: str, where: str) -> int:
    """A parameter that is a number; 0 when it is not there."""
    if key not in parameters:
        return 0
    value = parameters[key]
    count: object = getattr(value, value.WhichOneof("parameter_choice") or "int64_param")
    if type(count) is not int or count < 0:
        raise invalid(f"parameter {key!r} of {where} must be a whole number from 0 on")
    return count


def _text(parameters: Mapping[str, Message], key: str, where: str) -> str:
    """A parameter that is a string; empty when it is not there."""
    if key not in parameters:
        return ""
    if parameters[key].WhichOneof("parameter_choice") != "string_param":
        raise invalid(f"parameter {key!r} of {where} must be a string")
    text: str = parameters[key].string_param
    return text


def _check_parameters(name: str, parameters: Mapping[str, Message]) -> None:
    if "shared_memory_region" in parameters:
        raise invalid(f"{name[:80]!r} lies in shared memory, which is not offered: send it in the message")
