"""Warm-up files: logged requests are replayed before a version answers, and one that fails keeps it from answering."""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairlead.errors import Code, FairleadError
from fairlead.servable.identity import ServableId
from fairlead.servable.runtimes.onnx import OnnxLoader
from fairlead.servable.servable import LoadedModel
from fairlead.servable.signature import Array, Signature, Tensors, TensorSpec
from fairlead.servable.tfrecord import crc32c
from fairlead.servable.warmup import warm_up
from fairlead.serving.loading import VersionLoader
from fairlead.store.store import Store
from fairlead.testing import write_digit_model
from fairlead.transport.grpc.messages import Message, message_class
from fairlead.transport.grpc.warmup import decode_warmup

PredictionLog = message_class("tensorflow.serving.PredictionLog")


class Recorder:
    """A servable that remembers what it was asked, and refuses what is negative."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def predict(self, inputs: Tensors, outputs: Collection[str] | None = None) -> dict[str, Array]:
        self.asked.append({name: array.tolist() for name, array in inputs.items()})
        if "x" in inputs and (inputs["x"] < 0).any():
            raise FairleadError(Code.INVALID_ARGUMENT, "the model refused the input: negative")
        return {}

    def close(self) -> None:
        pass


def spec(name: str, dtype: str, shape: tuple[int, ...] = (-1,)) -> TensorSpec:
    """A tensor."""
    return TensorSpec(name=name, dtype=dtype, shape=shape)


@pytest.fixture
def model() -> LoadedModel:
    """A signature of numbers, and one that takes examples."""
    signatures = {
        "serving_default": Signature(inputs=(spec("x", "float32"),), outputs=(spec("y", "float32"),)),
        "regress": Signature(inputs=(spec("inputs", "string"),), outputs=(spec("outputs", "float32"),)),
    }
    return LoadedModel(signatures=signatures, servables={name: Recorder() for name in signatures})


def asked(model: LoadedModel, signature: str = "serving_default") -> list[dict[str, Any]]:
    """What the signature was asked."""
    servable = model.servables[signature]
    assert isinstance(servable, Recorder)
    return servable.asked


def predict_log(*values: float, signature: str = "", name: str = "x") -> Message:
    """The log of a prediction."""
    log = PredictionLog()
    request = log.predict_log.request
    request.model_spec.name = "whoever"
    request.model_spec.signature_name = signature
    tensor = request.inputs[name]
    tensor.dtype = 1
    tensor.tensor_shape.dim.add().size = len(values)
    tensor.float_val.extend(values)
    return log


def add_examples(request: Message, *values: float, signature: str = "regress") -> None:
    """Put examples into a request, whose context has a feature too."""
    request.model_spec.signature_name = signature
    shared = request.input.example_list_with_context
    shared.context.features.feature["shared"].bytes_list.value.append(b"s")
    for value in values:
        shared.examples.add().features.feature["x"].float_list.value.append(value)


def write(directory: Path, *records: bytes) -> None:
    """The version's warm-up file."""
    path = directory / "assets.extra" / "tf_serving_warmup_requests"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for record in records:
            for part in (struct.pack("<Q", len(record)), record):
                crc = crc32c(part)
                file.write(part + struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF))


def fault(act: Callable[[], object]) -> FairleadError:
    """The error that `act` raises."""
    with pytest.raises(FairleadError) as caught:
        act()
    return caught.value


def test_predictions_are_replayed_in_order(tmp_path: Path, model: LoadedModel) -> None:
    """For the signature that each names; there are no zeros then."""
    records = [predict_log(1.0, 2.0), predict_log(3.0, signature="serving_default")]
    write(tmp_path, *(record.SerializeToString() for record in records))
    warm_up(model, tmp_path, decode_warmup)

    assert asked(model) == [{"x": [1.0, 2.0]}, {"x": [3.0]}]
    assert asked(model, "regress") == []


def test_examples_are_replayed(tmp_path: Path, model: LoadedModel) -> None:
    """Of classifications, regressions and each task of a multi-inference, with the context's features in them."""
    classify, regress, multi = PredictionLog(), PredictionLog(), PredictionLog()
    add_examples(classify.classify_log.request, 1.0)
    add_examples(regress.regress_log.request, 2.0, 3.0)
    for _ in range(2):
        multi.multi_inference_log.request.tasks.add().model_spec.signature_name = "regress"
    multi.multi_inference_log.request.input.example_list.examples.add()
    write(tmp_path, *(log.SerializeToString() for log in (classify, regress, multi)))
    warm_up(model, tmp_path, decode_warmup)

    sizes = [len(call["inputs"]) for call in asked(model, "regress")]
    example = message_class("tensorflow.Example").FromString(asked(model, "regress")[0]["inputs"][0])
    assert sizes == [1, 2, 1, 1]
    assert example.features.feature["x"].float_list.value == [1.0]
    assert example.features.feature["shared"].bytes_list.value == [b"s"]


def test_without_a_file_zeros_are_run(tmp_path: Path, model: LoadedModel) -> None:
    """One row of them, for each signature."""
    warm_up(model, tmp_path, decode_warmup)

    assert asked(model) == [{"x": [0.0]}]
    assert asked(model, "regress") == [{"inputs": [""]}]


@pytest.mark.parametrize(
    ("record", "code", "said"),
    [
        (predict_log(-1.0), Code.INVALID_ARGUMENT, "the model refused the input: negative"),
        (predict_log(1.0, signature="nope"), Code.INVALID_ARGUMENT, "the model has no signature 'nope'"),
        (predict_log(1.0, name="z"), Code.INVALID_ARGUMENT, "the inputs ['x', 'z'] are in the request or in signature"),
        (predict_log(), Code.INVALID_ARGUMENT, "has no rows"),
        (PredictionLog(session_run_log={}), Code.UNIMPLEMENTED, "session_run_log in it is not replayed"),
        (PredictionLog(), Code.UNIMPLEMENTED, "nothing in it is not replayed"),
        (PredictionLog(regress_log={}), Code.INVALID_ARGUMENT, "Input is empty."),
    ],
)
def test_a_record_that_fails_is_named(
    tmp_path: Path, model: LoadedModel, record: Message, code: Code, said: str
) -> None:
    """With what is wrong with it."""
    write(tmp_path, predict_log(1.0).SerializeToString(), record.SerializeToString())
    error = fault(lambda: warm_up(model, tmp_path, decode_warmup))

    assert error.code is code
    assert error.message.startswith(f"record 1 of {tmp_path}/assets.extra/tf_serving_warmup_requests failed: ")
    assert said in error.message


def test_a_record_that_is_no_message_is_data_loss(tmp_path: Path, model: LoadedModel) -> None:
    """Though its checksum is right."""
    write(tmp_path, b"\xff\xff")

    assert fault(lambda: warm_up(model, tmp_path, decode_warmup)).code is Code.DATA_LOSS


def test_there_are_a_thousand_records_at_most(tmp_path: Path, model: LoadedModel) -> None:
    """One more is too many."""
    record = predict_log(1.0).SerializeToString()
    write(tmp_path, *[record] * 1000)
    warm_up(model, tmp_path, decode_warmup)
    assert len(asked(model)) == 1000
    write(tmp_path, *[record] * 1001)

    assert "has more than 1000 records" in fault(lambda: warm_up(model, tmp_path, decode_warmup)).message


def test_a_bad_record_fails_the_load(tmp_path: Path) -> None:
    """And a good one does not; the version is told of as any other that cannot be loaded."""
    directory = tmp_path / "m" / "1"
    directory.mkdir(parents=True)
    write_digit_model(directory, 3)
    loader = VersionLoader(Store(tmp_path), {"onnx": OnnxLoader()}, decode_warmup)
    write(directory, predict_log(1.0, name="image").SerializeToString())
    error = fault(lambda: loader.load(ServableId("m", 1), directory))
    assert "input 'image' has shape [1] but the model takes [-1, 28, 28, 1]" in error.message

    log = predict_log(name="image")
    tensor = log.predict_log.request.inputs["image"]
    tensor.ClearField("tensor_shape")
    for size in (2, 28, 28, 1):
        tensor.tensor_shape.dim.add().size = size
    write(directory, log.SerializeToString())
    loaded = loader.load(ServableId("m", 1), directory)
    servable, _ = loaded.answering("")
    assert servable.predict({"image": np.zeros((1, 28, 28, 1), np.float32)})["probs"].argmax() == 3


def test_a_file_made_with_tensorflows_own_classes_is_replayed(tmp_path: Path, model: LoadedModel) -> None:
    """As the documentation of TensorFlow Serving tells its users to make one."""
    import tensorflow as tf
    from tensorflow_serving.apis import model_pb2, predict_pb2, prediction_log_pb2

    request = predict_pb2.PredictRequest(
        model_spec=model_pb2.ModelSpec(name="m", signature_name="serving_default"),
        inputs={"x": tf.make_tensor_proto([7.0, 8.0])},
    )
    path = tmp_path / "assets.extra" / "tf_serving_warmup_requests"
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
        writer.write(log.SerializeToString())
    warm_up(model, tmp_path, decode_warmup)

    assert asked(model) == [{"x": [7.0, 8.0]}]
