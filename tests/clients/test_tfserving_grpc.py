"""TensorFlow Serving's gRPC API through `tensorflow-serving-api`, its own stubs and messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from tests.cli.conftest import Server
from tests.clients.models import KINDS, MIXED, MIXED_ANSWER
from tests.clients.tfserving import TIMEOUT_S, Stubs, check_outputs, refusal

from fairlead.servable.signature import Array

X = np.array([1, 2], np.float32)
Y = np.array([2.5, 3], np.float32)
IMAGES = np.zeros((2, 28, 28, 1), np.float32)


@pytest.fixture(scope="module")
def stubs(server: Server) -> Iterator[Stubs]:
    """They all share a channel."""
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        yield Stubs(channel)


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


def test_classify(stubs: Stubs) -> None:
    """Every class of every example, named, in the model's order; features may stand in the context."""
    pixels = {"image": [0.0] * 784}
    for examples, context in ((({**pixels}, {**pixels}), None), (({}, {}), pixels)):
        request = stubs.request("classification_pb2.ClassificationRequest", "digits")

        response = stubs.predictions.Classify(stubs.examples(request, *examples, context=context), TIMEOUT_S)

        assert (response.model_spec.version.value, len(response.result.classifications)) == (2, 2)
        classes = response.result.classifications[0].classes
        assert [scored.label for scored in classes] == list("0123456789")
        assert max(classes, key=lambda scored: scored.score).label == "7"


def test_regress(stubs: Stubs) -> None:
    """One value for each example."""
    request = stubs.request("regression_pb2.RegressionRequest", "half_plus_two")

    response = stubs.predictions.Regress(stubs.examples(request, {"x": [1.0]}, {"x": [2]}), TIMEOUT_S)

    assert [regression.value for regression in response.result.regressions] == [2.5, 3.0]
    assert response.model_spec.version.value == 1


def test_multi_inference(stubs: Stubs) -> None:
    """Each task has its result."""
    request = stubs.apis.inference_pb2.MultiInferenceRequest()
    task = request.tasks.add(method_name=stubs.tf.saved_model.REGRESS_METHOD_NAME)
    stubs.specify(task.model_spec, "half_plus_two")

    response = stubs.predictions.MultiInference(stubs.examples(request, {"x": [1.0]}), TIMEOUT_S)

    (result,) = response.results
    assert [regression.value for regression in result.regression_result.regressions] == [2.5]


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

    classify = stubs.request("classification_pb2.ClassificationRequest", "digits")
    regress = stubs.examples(stubs.request("regression_pb2.RegressionRequest", "digits"), {"image": [0.0] * 784})

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
    assert refusal(stubs.predictions.Classify, classify) == ("INVALID_ARGUMENT", "Input is empty.")
    code, details = refusal(stubs.predictions.Regress, regress)
    assert (code, "No regression outputs found in SignatureDef" in details) == ("INVALID_ARGUMENT", True)


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
