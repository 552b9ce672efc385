"""The Open Inference Protocol's service: contents of every kind, and its refusals."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.transport.grpc.channel import INFERENCE, Channel
from tests.transport.grpc.conftest import Start
from tests.transport.grpc.protos import ModelInferRequest, infer_request

from fairlead.serving.status import Readiness

IMAGE = np.zeros((1, 28, 28, 1), np.float32)
TYPED: dict[str, tuple[str, str, list[Any]]] = {
    "bool": ("BOOL", "bool_contents", [True, False]),
    "int8": ("INT8", "int_contents", [-128, 127]),
    "int16": ("INT16", "int_contents", [-5, 300]),
    "int32": ("INT32", "int_contents", [-(2**31), 7]),
    "int64": ("INT64", "int64_contents", [-(2**63), 2**63 - 1]),
    "uint8": ("UINT8", "uint_contents", [0, 255]),
    "uint16": ("UINT16", "uint_contents", [0, 65535]),
    "uint32": ("UINT32", "uint_contents", [1, 2**32 - 1]),
    "uint64": ("UINT64", "uint64_contents", [1, 2**64 - 1]),
    "float32": ("FP32", "fp32_contents", [0.5, -2.0]),
    "float64": ("FP64", "fp64_contents", [0.1, 1e300]),
    "string": ("BYTES", "bytes_contents", [b"one", "zwölf".encode()]),
}


def typed(dtype: str, shape: list[int] | None = None) -> Any:
    """A request with typed contents for the model that gives back what it gets."""
    datatype, field, values = TYPED[dtype]
    request = ModelInferRequest(model_name=f"same-{dtype}")
    tensor = request.inputs.add(name="x", datatype=datatype, shape=shape or [1, 2])
    getattr(tensor.contents, field).extend(values)
    return request


@pytest.mark.parametrize("dtype", TYPED)
def test_typed_contents_are_read_and_answered_raw(channel: Channel, dtype: str) -> None:
    """Values of every type survive; the answer is in raw contents, which every client reads."""
    datatype, _, values = TYPED[dtype]
    answer = channel.ask(INFERENCE, "ModelInfer", typed(dtype))
    (output,), (raw,) = answer.outputs, answer.raw_output_contents

    assert (output.name, output.datatype, list(output.shape)) == ("y", datatype, [1, 2])
    assert not output.HasField("contents")
    if dtype == "string":
        assert raw == b"".join(len(value).to_bytes(4, "little") + value for value in values)
    else:
        assert np.frombuffer(raw, dtype).tolist() == values


def test_half_precision_is_raw_alone(channel: Channel) -> None:
    """FP16 has no typed field; its bytes go both ways."""
    request = ModelInferRequest(model_name="same-float16", raw_input_contents=[np.array([1.5, -2], "f2").tobytes()])
    request.inputs.add(name="x", datatype="FP16", shape=[1, 2])
    answer = channel.ask(INFERENCE, "ModelInfer", request)
    assert np.frombuffer(answer.raw_output_contents[0], "f2").tolist() == [1.5, -2]

    del request.raw_input_contents[:]
    code, sentence = channel.refusal(INFERENCE, "ModelInfer", request)
    assert (code, sentence) == ("INVALID_ARGUMENT", "'FP16' of input 'x' has no typed contents: send it raw")


def test_surplus_raw_contents_are_ignored(channel: Channel) -> None:
    """As Triton does; the outputs come in the order in which they were asked for."""
    request = infer_request("pair", a=np.ones((1, 2), np.float32), n=np.array([4], np.int32))
    request.raw_input_contents.append(b"more")
    for name in ("double", "sum"):
        request.outputs.add(name=name)
    answer = channel.ask(INFERENCE, "ModelInfer", request)

    assert [output.name for output in answer.outputs] == ["double", "sum"]
    assert np.frombuffer(answer.raw_output_contents[0], np.int32) == 8


def test_a_parameter_that_means_nothing_here_is_left_aside(channel: Channel) -> None:
    """KServe's client sends binary_data_size, others what they like."""
    request = infer_request("echo", x=[[1.0]])
    request.parameters["priority"].uint64_param = 3
    request.inputs[0].parameters["binary_data_size"].int64_param = 4
    request.outputs.add(name="y").parameters["binary_data"].bool_param = True

    assert channel.ask(INFERENCE, "ModelInfer", request).model_name == "echo"


def test_a_label_stands_in_the_metadata(channel: Channel) -> None:
    """The protocol's messages have a version and no label; to name both is refused, and so is a label nobody gave."""
    request = infer_request("echo", x=[[1.0]])
    stable, unknown = [("x-model-label", "stable")], [("x-model-label", "nope")]
    assert channel.ask(INFERENCE, "ModelInfer", request, metadata=stable).model_version == "1"
    assert channel.ask(INFERENCE, "ModelMetadata", name="echo", metadata=stable).versions == ["1"]

    request.model_version = "1"
    code, sentence = channel.refusal(INFERENCE, "ModelInfer", request, metadata=stable)
    assert (code, "leave one of them out" in sentence) == ("INVALID_ARGUMENT", True)

    code, sentence = channel.refusal(INFERENCE, "ModelMetadata", name="echo", metadata=unknown)
    assert (code, "no label 'nope'; it has stable" in sentence) == ("NOT_FOUND", True)


def _changed(change: Callable[[Any], None], request: Any = None) -> Callable[[], Any]:
    def make() -> Any:
        made = request() if request else infer_request("digits", image=IMAGE)
        change(made)
        return made

    return make


def _set(path: str, value: Any) -> Callable[[Any], None]:
    def change(message: Any) -> None:
        *parents, name = path.split(".")
        for parent in parents:
            message = getattr(message, parent) if not parent.isdigit() else message[int(parent)]
        setattr(message, name, value)

    return change


REFUSED: dict[str, tuple[Callable[[], Any], str, str]] = {
    "unknown model": (
        _changed(_set("model_name", "nope")),
        "NOT_FOUND",
        "Request for unknown model: 'nope' is not found",
    ),
    "no model": (_changed(_set("model_name", "")), "NOT_FOUND", "Request for unknown model: '' is not found"),
    "unknown version": (_changed(_set("model_version", "9")), "NOT_FOUND", "'digits' version 9 is not found"),
    "version -1": (_changed(_set("model_version", "-1")), "INVALID_ARGUMENT", "version string '-1'"),
    "version in other digits": (_changed(_set("model_version", "\u0661")), "INVALID_ARGUMENT", "it is no number"),
    "version beyond 64 bits": (_changed(_set("model_version", "9" * 20)), "INVALID_ARGUMENT", "beyond 64 bits"),
    "another type": (
        _changed(_set("inputs.0.datatype", "FP64")),
        "INVALID_ARGUMENT",
        "inference input 'image' data-type is 'FP64', but model 'digits' expects 'FP32'",
    ),
    "an unknown type": (_changed(_set("inputs.0.datatype", "FLOAT")), "INVALID_ARGUMENT", "data-type is 'FLOAT'"),
    "another input": (_changed(_set("inputs.0.name", "xx")), "INVALID_ARGUMENT", "unexpected inference input 'xx'"),
    "a negative size": (
        _changed(lambda request: request.inputs[0].shape.__setitem__(0, -1)),
        "INVALID_ARGUMENT",
        "shape [-1, 28, 28, 1] of input 'image' has a negative size",
    ),
    "a shape that overflows": (
        _changed(lambda request: request.inputs[0].shape.__setitem__(0, 2**62)),
        "INVALID_ARGUMENT",
        "is too large",
    ),
    "an input twice": (
        _changed(lambda request: request.MergeFrom(infer_request("digits", image=IMAGE))),
        "INVALID_ARGUMENT",
        "input 'image' already exists in request",
    ),
    "no inputs": (lambda: infer_request("digits"), "INVALID_ARGUMENT", "expected 1 inputs but got 0 inputs"),
    "no data": (
        _changed(lambda request: request.ClearField("raw_input_contents")),
        "INVALID_ARGUMENT",
        "input byte size mismatch for input 'image'",
    ),
    "too few raw contents": (
        _changed(
            lambda request: request.inputs.add(name="n", datatype="INT32", shape=[1]),
            lambda: infer_request("pair", a=np.ones((1, 2), np.float32)),
        ),
        "INVALID_ARGUMENT",
        "unable to find data for input tensor 'n'",
    ),
    "both contents": (
        _changed(lambda request: request.inputs[0].contents.fp32_contents.append(1)),
        "INVALID_ARGUMENT",
        "contents field must not be specified when using raw_input_contents for 'image'",
    ),
    "bytes of another size": (
        _changed(lambda request: request.raw_input_contents.__setitem__(0, b"123")),
        "INVALID_ARGUMENT",
        "input byte size mismatch for input 'image'",
    ),
    "values of another number": (
        lambda: typed("int64", [1, 3]),
        "INVALID_ARGUMENT",
        "Shape does not match true shape of 'data' field",
    ),
    "floats of another number": (lambda: typed("float32", [1, 3]), "INVALID_ARGUMENT", "input byte size mismatch"),
    "a value beyond its type": (
        _changed(lambda request: request.inputs[0].contents.int_contents.append(300), lambda: typed("int8", [1, 3])),
        "INVALID_ARGUMENT",
        "300 is no INT8",
    ),
    "a byte that is no flag": (
        _changed(
            lambda request: request.raw_input_contents.__setitem__(0, b"\x02"),
            lambda: infer_request("same-bool", x=np.ones((1, 1), bool)),
        ),
        "INVALID_ARGUMENT",
        "which is neither 0 nor 1",
    ),
    "an unknown output": (
        _changed(lambda request: request.outputs.add(name="zz")),
        "INVALID_ARGUMENT",
        "unexpected inference output 'zz' for model 'digits'",
    ),
    "an output twice": (
        _changed(lambda request: request.outputs.extend([request.outputs.add(name="probs")])),
        "INVALID_ARGUMENT",
        "output 'probs' already exists in request",
    ),
    "classes that are no number": (
        _changed(
            lambda request: (
                request.outputs.add(name="probs").parameters["classification"].__setattr__("string_param", "2")
            )
        ),
        "INVALID_ARGUMENT",
        "parameter 'classification' of output 'probs' must be a whole number from 0 on",
    ),
    "classes below 0": (
        _changed(
            lambda request: (
                request.outputs.add(name="probs").parameters["classification"].__setattr__("int64_param", -1)
            )
        ),
        "INVALID_ARGUMENT",
        "must be a whole number from 0 on",
    ),
    "shared memory": (
        _changed(lambda request: request.inputs[0].parameters["shared_memory_region"].__setattr__("string_param", "r")),
        "INVALID_ARGUMENT",
        "lies in shared memory, which is not offered",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_request_that_makes_no_sense_is_refused(channel: Channel, name: str) -> None:
    """Code and sentence tell the client what is wrong."""
    make, code, sentence = REFUSED[name]
    refusal = channel.refusal(INFERENCE, "ModelInfer", make())

    assert refusal[0] == code
    assert sentence in refusal[1]


def test_an_unknown_model_is_told_before_a_fault_in_the_request(channel: Channel) -> None:
    """As over REST."""
    request = ModelInferRequest(model_name="nope")
    request.inputs.add(name="x", datatype="FP16", shape=[-1])

    assert channel.refusal(INFERENCE, "ModelInfer", request)[0] == "NOT_FOUND"


def test_readiness_follows_the_process(start: Start) -> None:
    """Not ready is an answer, not an error; live is live."""
    running = start()
    with Channel(running.address) as channel:
        assert channel.ask(INFERENCE, "ServerReady").ready
        running.catalogue.ready = Readiness(is_started=True, is_ready=False)
        assert not channel.ask(INFERENCE, "ServerReady").ready
        assert channel.ask(INFERENCE, "ServerLive").live


def test_a_model_is_ready_or_unknown(channel: Channel) -> None:
    """An unknown model is NOT_FOUND, as Triton's newest has it."""
    assert channel.ask(INFERENCE, "ModelReady", name="digits", version="1").ready
    assert channel.refusal(INFERENCE, "ModelReady", name="nope")[0] == "NOT_FOUND"
    assert channel.refusal(INFERENCE, "ModelReady", name="digits", version="x")[0] == "INVALID_ARGUMENT"


def test_releases_decide_what_is_loaded(channel: Channel) -> None:
    """A load by request is refused with the reason, not with UNAVAILABLE: trying again changes nothing."""
    assert channel.refusal(INFERENCE, "RepositoryModelLoad", model_name="nope")[0] == "NOT_FOUND"
    code, sentence = channel.refusal(INFERENCE, "RepositoryModelLoad", model_name="digits")
    assert code == "FAILED_PRECONDITION"
    assert "a model's release decides" in sentence
