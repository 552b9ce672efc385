"""TensorFlow Serving's gRPC API through `tensorflow-serving-api`, its own stubs and messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import attrgetter
from typing import Any

import grpc
import numpy as np
import pytest
from tests.cli.conftest import Server
from tests.clients.models import KINDS, MIXED, MIXED_ANSWER, check_tensor

from fairlead.servable.signature import Array

TIMEOUT_S = 20.0
X = np.array([1, 2], np.float32)
Y = np.array([2.5, 3], np.float32)
IMAGES = np.zeros((2, 28, 28, 1), np.float32)
VALUES = {
    "bool": "bool_val",
    "string": "string_val",
    "float16": "half_val",
    "float32": "float_val",
    "float64": "double_val",
    "int8": "int_val",
    "int16": "int_val",
    "int32": "int_val",
    "int64": "int64_val",
    "uint8": "int_val",
    "uint16": "int_val",
    "uint32": "uint32_val",
    "uint64": "uint64_val",
}
"""By dtype, where a TensorProto holds values that are not in `tensor_content`."""


class Stubs:
    """TensorFlow and its API, imported only by whoever needs them, and the two services over one channel."""

    def __init__(self, channel: grpc.Channel) -> None:
        import tensorflow as tf
        from tensorflow_serving import apis
        from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

        self.tf = tf
        self.apis = apis
        self.predictions = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        self.models = model_service_pb2_grpc.ModelServiceStub(channel)

    def request(self, message: str, model: str, **spec: Any) -> Any:
        """A message by its name in the API, such as "predict_pb2.PredictRequest"; `spec` goes into its ModelSpec."""
        request = attrgetter(message)(self.apis)()
        self.specify(request.model_spec, model, **spec)
        return request

    def specify(self, model_spec: Any, model: str, *, version: int | None = None, **texts: str) -> None:
        """Fill in a ModelSpec; `texts` are its other fields."""
        model_spec.name = model
        if version is not None:
            model_spec.version.value = version
        for field, text in texts.items():
            setattr(model_spec, field, text)

    def predict(
        self,
        model: str,
        inputs: Mapping[str, Any],
        outputs: Iterable[str] = (),
        timeout: float = TIMEOUT_S,
        **spec: Any,
    ) -> Any:
        """Ask Predict; inputs are arrays, or TensorProtos."""
        request = self.request("predict_pb2.PredictRequest", model, **spec)
        request.output_filter.extend(outputs)
        for name, value in inputs.items():
            proto = self.tf.make_tensor_proto(value) if isinstance(value, np.ndarray) else value
            request.inputs[name].CopyFrom(proto)
        return self.predictions.Predict(request, timeout)

    def tensor(self, dtype: str, shape: Iterable[int], values: Iterable[Any]) -> Any:
        """A TensorProto of values in the list that belongs to the dtype."""
        proto = self.tf.make_tensor_proto([], dtype=self.tf.as_dtype(dtype))
        del proto.tensor_shape.dim[:]
        for size in shape:
            proto.tensor_shape.dim.add(size=size)
        getattr(proto, VALUES[dtype]).extend(values)
        return proto


@pytest.fixture(scope="module")
def stubs(server: Server) -> Iterator[Stubs]:
    """They all share a channel."""
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        yield Stubs(channel)


def check_outputs(stubs: Stubs, response: Any, want: Mapping[str, Array]) -> None:
    """Assert that the response has exactly these tensors."""
    assert set(response.outputs) == set(want)
    for name, array in want.items():
        check_tensor(stubs.tf.make_ndarray(response.outputs[name]), array)


def refusal(call: Callable[..., Any], *arguments: Any) -> tuple[str, str]:
    """The code's name and the text of the error that a call is answered with."""
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments)
    return caught.value.code().name, caught.value.details()


def test_predict_every_dtype_as_content(stubs: Stubs) -> None:
    """What `make_tensor_proto` makes of arrays goes in, and `make_ndarray` reads what comes out, to the last bit."""
    response = stubs.predict("kinds", {f"x_{dtype}": array for dtype, array in KINDS.items()})

    check_outputs(stubs, response, {f"y_{dtype}": array for dtype, array in KINDS.items()})


def test_predict_every_dtype_as_values(stubs: Stubs) -> None:
    """So do lists of values, each dtype's in its own field."""
    inputs = {}
    for dtype, array in KINDS.items():
        numbers = array.view(np.uint16) if dtype == "float16" else array
        values = [item.encode() if isinstance(item, str) else item for item in numbers.ravel().tolist()]
        inputs[f"x_{dtype}"] = stubs.tensor(dtype, array.shape, values)

    response = stubs.predict("kinds", inputs)

    check_outputs(stubs, response, {f"y_{dtype}": array for dtype, array in KINDS.items()})


@pytest.mark.parametrize(
    ("values", "read"), [([], [0, 0, 0]), ([1.5], [1.5, 1.5, 1.5]), ([1, 2], [1, 2, 2]), ([1, 2, 3, 4], [1, 2, 3])]
)
def test_fewer_values_than_the_shape_has(stubs: Stubs, values: list[float], read: list[float]) -> None:
    """The last one is repeated, none are zeros, and what is too many is ignored: so TensorFlow reads its tensors."""
    response = stubs.predict("half_plus_two", {"x": stubs.tensor("float32", [3], values)})

    check_outputs(stubs, response, {"y": np.array(read, np.float32) / 2 + 2})


def test_predict_several_types(stubs: Stubs) -> None:
    """All outputs without a filter, and else those in it."""
    check_outputs(stubs, stubs.predict("mixed", MIXED), MIXED_ANSWER)
    some = ("same_text", "double")
    check_outputs(stubs, stubs.predict("mixed", MIXED, some), {name: MIXED_ANSWER[name] for name in some})


@pytest.mark.parametrize(
    ("spec", "version", "digit"),
    [
        ({}, 2, 7),
        ({"version": 1}, 1, 3),
        ({"version_label": "previous"}, 1, 3),
        ({"version_label": "stable"}, 2, 7),
        ({"signature_name": "serving_default"}, 2, 7),
    ],
)
def test_versions_labels_and_signatures(stubs: Stubs, spec: dict[str, Any], version: int, digit: int) -> None:
    """The response names the version that answered and the signature; a label is not echoed."""
    response = stubs.predict("digits", {"image": IMAGES}, **spec)

    assert stubs.tf.make_ndarray(response.outputs["probs"]).argmax(axis=1).tolist() == [digit, digit]
    served = stubs.request("predict_pb2.PredictRequest", "digits", version=version, signature_name="serving_default")
    assert response.model_spec == served.model_spec


def test_metadata(stubs: Stubs) -> None:
    """The signatures, packed as TensorFlow Serving packs them."""
    request = stubs.request("get_model_metadata_pb2.GetModelMetadataRequest", "mixed")
    request.metadata_field.append("signature_def")

    response = stubs.predictions.GetModelMetadata(request, TIMEOUT_S)

    assert (response.model_spec.name, response.model_spec.version.value) == ("mixed", 1)
    signatures = stubs.apis.get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    signature = signatures.signature_def["serving_default"]
    assert signature.method_name == stubs.tf.saved_model.PREDICT_METHOD_NAME
    assert {name: (stubs.tf.as_dtype(info.dtype).name, sizes(info)) for name, info in signature.inputs.items()} == {
        "weights": ("float32", [-1, 2]),
        "count": ("int64", [-1]),
        "flag": ("bool", [-1]),
        "text": ("string", [-1]),
    }
    assert set(signature.outputs) == set(MIXED_ANSWER)


def sizes(info: Any) -> list[int]:
    """The shape in a TensorInfo."""
    return [dim.size for dim in info.tensor_shape.dim]


@pytest.mark.parametrize(("spec", "versions"), [({}, [2, 1]), ({"version": 1}, [1])])
def test_status(stubs: Stubs, spec: dict[str, int], versions: list[int]) -> None:
    """All versions, the newest first, or the one that was asked for."""
    request = stubs.request("get_model_status_pb2.GetModelStatusRequest", "digits", **spec)

    statuses = stubs.models.GetModelStatus(request, TIMEOUT_S).model_version_status

    assert [status.version for status in statuses] == versions
    available = stubs.apis.get_model_status_pb2.ModelVersionStatus.AVAILABLE
    assert {(status.state, status.status.error_code, status.status.error_message) for status in statuses} == {
        (available, 0, "")
    }


@pytest.mark.parametrize(
    ("model", "inputs", "spec", "code", "words"),
    [
        ("nope", {"x": X}, {}, "NOT_FOUND", "Servable not found for request: Latest(nope)"),
        ("digits", {"image": X}, {"version": 9}, "NOT_FOUND", "Servable not found for request: Specific(digits, 9)"),
        ("digits", {}, {"version_label": "nope"}, "INVALID_ARGUMENT", "Unrecognized servable version label: nope"),
        ("", {"x": X}, {}, "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        (
            "half_plus_two",
            {"x": X},
            {"signature_name": "nope"},
            "FAILED_PRECONDITION",
            'Serving signature key "nope" not found.',
        ),
        ("half_plus_two", {}, {}, "INVALID_ARGUMENT", "input size does not match signature: 0!=1 len({}) != len({x})."),
        ("half_plus_two", {"z": X}, {}, "INVALID_ARGUMENT", "Signature input alias: x"),
        ("half_plus_two", {"x": X.astype(np.float64)}, {}, "INVALID_ARGUMENT", ""),
        ("half_plus_two", {"x": X[:, np.newaxis]}, {}, "INVALID_ARGUMENT", "shape"),
        (
            "half_plus_two",
            {"x": X},
            {"outputs": ["z"]},
            "INVALID_ARGUMENT",
            "output tensor alias not found in signature: z Outputs expected to be in the set {y}.",
        ),
        ("half_plus_two", {"x": X}, {"outputs": ["y", "y"]}, "INVALID_ARGUMENT", "duplicate output tensor alias: y"),
    ],
)
def test_predict_errors(
    stubs: Stubs, model: str, inputs: dict[str, Array], spec: dict[str, Any], code: str, words: str
) -> None:
    """Each fault has TensorFlow Serving's code and words."""
    answered, details = refusal(lambda: stubs.predict(model, inputs, **spec))

    assert answered == code
    assert words in details


def test_a_tensor_that_lies_about_its_size(stubs: Stubs) -> None:
    """Content that does not fill the shape is refused by the input's name."""
    proto = stubs.tf.make_tensor_proto(X)
    proto.tensor_shape.dim[0].size = 3

    code, details = refusal(stubs.predict, "half_plus_two", {"x": proto})

    assert code == "INVALID_ARGUMENT"
    assert details.startswith("tensor parsing error: x")


def test_errors_of_the_other_calls(stubs: Stubs) -> None:
    """They use the same words."""
    metadata = stubs.request("get_model_metadata_pb2.GetModelMetadataRequest", "digits")
    status = stubs.request("get_model_status_pb2.GetModelStatusRequest", "nope")

    assert refusal(stubs.predictions.GetModelMetadata, metadata) == (
        "INVALID_ARGUMENT",
        "GetModelMetadataRequest must specify at least one metadata_field",
    )
    metadata.metadata_field.append("foo")
    assert refusal(stubs.predictions.GetModelMetadata, metadata) == (
        "INVALID_ARGUMENT",
        "Metadata field foo is not supported",
    )
    assert refusal(stubs.models.GetModelStatus, status) == ("NOT_FOUND", "Could not find any versions of model nope")


def test_a_deadline(stubs: Stubs) -> None:
    """The client gives up when it said it would, and the channel is as good as before."""
    turns = {"turns": np.array([1500], np.int64)}

    code, _ = refusal(lambda: stubs.predict("slow", turns, timeout=0.1))

    assert code == "DEADLINE_EXCEEDED"
    check_outputs(stubs, stubs.predict("half_plus_two", {"x": X}), {"y": Y})


@pytest.mark.parametrize("coding", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_compression(server: Server, stubs: Stubs, coding: grpc.Compression) -> None:
    """A channel may compress what it sends."""
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}", compression=coding) as channel:
        response = Stubs(channel).predict("digits", {"image": IMAGES})

    assert stubs.tf.make_ndarray(response.outputs["probs"]).argmax(axis=1).tolist() == [7, 7]
