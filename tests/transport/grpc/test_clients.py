"""The clients that people use, as they are, against one server."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.transport.grpc.live import Running

from fairlead.servable.signature import Array

IMAGE = np.linspace(0, 1, 784, dtype=np.float32).reshape(1, 28, 28, 1)


def expected(images: Array = IMAGE) -> Array:
    """What the model over the fakes answers."""
    tenths: Array = images.reshape(-1, 784)[:, :780].reshape(-1, 10, 78).mean(axis=2) + np.float32(0.1)
    answer: Array = tenths / tenths.sum(axis=1, keepdims=True)
    return answer


@pytest.fixture(scope="module")
def triton(server: Running) -> Iterator[Any]:
    """Triton's client."""
    import tritonclient.grpc

    with tritonclient.grpc.InferenceServerClient(server.address) as client:
        yield client


def triton_input(module: Any, array: Array = IMAGE, name: str = "image", datatype: str = "FP32") -> Any:
    """An input in the words of Triton's client."""
    tensor = module.InferInput(name, array.shape, datatype)
    tensor.set_data_from_numpy(array)
    return tensor


def test_triton_infers(triton: Any) -> None:
    """An inference over Triton's client gives the tensor, the id and the version."""
    import tritonclient.grpc as module

    answer = triton.infer("digits", [triton_input(module)], request_id="7")

    np.testing.assert_allclose(answer.as_numpy("probs"), expected(), rtol=1e-6)
    assert answer.get_response().id == "7"
    assert answer.get_response().model_version == "1"


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_triton_compresses(triton: Any, algorithm: str) -> None:
    """A compressed request is answered as a plain one."""
    import tritonclient.grpc as module

    answer = triton.infer("digits", [triton_input(module)], compression_algorithm=algorithm)

    np.testing.assert_allclose(answer.as_numpy("probs"), expected(), rtol=1e-6)


def test_triton_classifies(triton: Any) -> None:
    """The best classes come as texts."""
    import tritonclient.grpc as module

    wanted = [module.InferRequestedOutput("probs", class_count=2)]
    answer = triton.infer("digits", [triton_input(module)], outputs=wanted).as_numpy("probs")

    assert [text.decode().split(":")[1:] for text in answer[0]] == [["9", "9"], ["8", "8"]]


def test_triton_sends_and_gets_texts(triton: Any) -> None:
    """BYTES tensors go both ways."""
    import tritonclient.grpc as module

    words = np.array(["one", "zwölf"], object)
    answer = triton.infer("words", [triton_input(module, words, "text", "BYTES")])

    assert [word.decode() for word in answer.as_numpy("upper")] == ["ONE", "ZWÖLF"]


def test_triton_asks_about_server_and_models(triton: Any) -> None:
    """Health, metadata and the index."""
    assert triton.is_server_live()
    assert triton.is_server_ready()
    assert triton.is_model_ready("digits")
    assert triton.is_model_ready("digits", "1")
    assert triton.get_server_metadata().name == "fairlead"
    metadata = triton.get_model_metadata("digits")
    assert (metadata.name, list(metadata.versions)) == ("digits", ["1"])
    assert (metadata.inputs[0].datatype, list(metadata.inputs[0].shape)) == ("FP32", [-1, 28, 28, 1])
    index = triton.get_model_repository_index().models
    assert [(model.name, model.version, model.state) for model in index] == [("digits", "1", "READY")]


def test_triton_sees_errors(triton: Any) -> None:
    """An error arrives with its code and its sentence."""
    import tritonclient.grpc as module
    from tritonclient.utils import InferenceServerException

    with pytest.raises(InferenceServerException, match="Request for unknown model: 'nope' is not found") as caught:
        triton.infer("nope", [triton_input(module)])
    assert caught.value.status() == "StatusCode.NOT_FOUND"
    with pytest.raises(InferenceServerException, match="unexpected shape for input 'image'"):
        triton.infer("digits", [triton_input(module, IMAGE.reshape(1, 784))])
    with pytest.raises(InferenceServerException, match="NOT_FOUND"):
        triton.is_model_ready("nope")


def test_triton_streams(server: Running) -> None:
    """A stream answers its requests in their order, and a bad one ends nothing."""
    import tritonclient.grpc as module

    answers: list[tuple[Any, Any]] = []
    with module.InferenceServerClient(server.address) as client:
        client.start_stream(lambda result, error: answers.append((result, error)))
        for model in ("digits", "nope", "digits"):
            client.async_stream_infer(model, [triton_input(module)])
        client.stop_stream()

    assert [error is None for _, error in answers] == [True, False, True]
    np.testing.assert_allclose(answers[2][0].as_numpy("probs"), expected(), rtol=1e-6)
    assert "unknown model: 'nope'" in str(answers[1][1])


async def test_triton_aio_infers_many_at_once(server: Running) -> None:
    """A hundred inferences in flight on one connection each get their own answer."""
    import tritonclient.grpc.aio as module

    images = [np.full((1, 28, 28, 1), index, np.float32) for index in range(100)]
    async with module.InferenceServerClient(server.address) as client:
        answers = await asyncio.gather(
            *(client.infer("same-float32", [triton_input(module, image.reshape(1, -1), "x")]) for image in images)
        )

    assert [answer.as_numpy("y")[0, 0] for answer in answers] == list(range(100))


def test_tensorflow_serving_predicts(server: Running) -> None:
    """TensorFlow's own messages and ours live in one process, and a prediction goes both ways."""
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    with grpc.insecure_channel(server.address) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "digits"
        request.model_spec.version.value = 1
        request.inputs["image"].CopyFrom(tf.make_tensor_proto(IMAGE))
        answer = stub.Predict(request, timeout=20)

    np.testing.assert_allclose(tf.make_ndarray(answer.outputs["probs"]), expected(), rtol=1e-6)
    assert len(answer.outputs["probs"].float_val) == 10
    spec = answer.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("digits", 1, "serving_default")


def test_tensorflow_serving_asks_about_models(server: Running) -> None:
    """Status and metadata arrive in TensorFlow Serving's messages."""
    import grpc
    from tensorflow_serving.apis import get_model_metadata_pb2 as metadata_pb2
    from tensorflow_serving.apis import (
        get_model_status_pb2,
        model_service_pb2_grpc,
        prediction_service_pb2_grpc,
    )

    with grpc.insecure_channel(server.address) as channel:
        asked = get_model_status_pb2.GetModelStatusRequest()
        asked.model_spec.name = "digits"
        status = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(asked, timeout=20)
        request = metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        request.model_spec.name = "digits"
        metadata = prediction_service_pb2_grpc.PredictionServiceStub(channel).GetModelMetadata(request, timeout=20)

    assert [(one.version, one.state) for one in status.model_version_status] == [
        (1, get_model_status_pb2.ModelVersionStatus.AVAILABLE)
    ]
    signatures = metadata_pb2.SignatureDefMap()
    assert metadata.metadata["signature_def"].Unpack(signatures)
    signature = signatures.signature_def["serving_default"]
    assert [dim.size for dim in signature.inputs["image"].tensor_shape.dim] == [-1, 28, 28, 1]
    assert signature.outputs["probs"].name == "probs:0"


def test_kserve_infers(server: Running) -> None:
    """KServe's client, which cannot share a process with Triton's, works as it is: raw and typed contents."""
    script = Path(__file__).with_name("kserve_client.py")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(script), server.address], capture_output=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode().split() == ["live", "ready", "model-ready", "raw", "typed", "NOT_FOUND"]
