"""TensorFlow Serving's two services: what they answer, and in which words they refuse."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from tests.transport.grpc.channel import MODEL, PREDICTION, Channel
from tests.transport.grpc.conftest import Start
from tests.transport.grpc.live import TIMEOUT_S
from tests.transport.grpc.protos import PredictRequest, TensorProto, predict_request, tensor

from fairlead.errors import Code, FairleadError
from fairlead.servable.identity import ServableId
from fairlead.serving.model_config import ModelConfig
from fairlead.serving.status import State, VersionStatus
from fairlead.transport.grpc.messages import message_class

IMAGE = np.zeros((1, 28, 28, 1), np.float32)


def digits(**changes: Any) -> Any:
    """A good request, with some of its model_spec's fields changed."""
    request = predict_request("digits", image=IMAGE)
    for name, value in changes.items():
        if name == "version":
            request.model_spec.version.value = value
        else:
            setattr(request.model_spec, name, value)
    return request


def filtered(*names: str) -> Any:
    """A request for some outputs."""
    request = predict_request("pair", a=[[1, 2]], n=TensorProto(dtype=3, int_val=[3]))
    request.inputs["n"].tensor_shape.dim.add(size=1)
    request.output_filter.extend(names)
    return request


def test_a_prediction_names_who_answered(channel: Channel) -> None:
    """The version and the signature are filled in; a label is not echoed."""
    answer = channel.ask(PREDICTION, "Predict", digits(version_label="stable"))

    spec = answer.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("digits", 1, "serving_default")
    assert not spec.version_label
    assert list(answer.outputs["probs"].float_val) == pytest.approx([0.1] * 10)


def test_a_filter_selects_outputs(channel: Channel) -> None:
    """Outputs come as asked; all of them without a filter."""
    assert set(channel.ask(PREDICTION, "Predict", filtered("double")).outputs) == {"double"}
    assert set(channel.ask(PREDICTION, "Predict", filtered()).outputs) == {"double", "sum"}


def test_a_signature_is_asked_by_name(channel: Channel) -> None:
    """Another signature of the model answers under its own name."""
    request = predict_request("several", y=np.array([[5.0]]))
    request.model_spec.signature_name = "flipped"
    answer = channel.ask(PREDICTION, "Predict", request)

    assert answer.model_spec.signature_name == "flipped"
    assert list(answer.outputs["x"].float_val) == [4.0]


REFUSED: dict[str, tuple[Callable[[], Any], str, str]] = {
    "no model_spec": (
        PredictRequest,
        "INVALID_ARGUMENT",
        "Missing ModelSpec",
    ),
    "no name": (lambda: digits(name=""), "INVALID_ARGUMENT", "ModelSpec has no name specified."),
    "unknown model": (lambda: digits(name="nope"), "NOT_FOUND", "Servable not found for request: Latest(nope)"),
    "unknown version": (lambda: digits(version=9), "NOT_FOUND", "Servable not found for request: Specific(digits, 9)"),
    "negative version": (
        lambda: digits(version=-1),
        "NOT_FOUND",
        "Servable not found for request: Specific(digits, -1)",
    ),
    "unknown label": (
        lambda: digits(version_label="x"),
        "INVALID_ARGUMENT",
        "Unrecognized servable version label: x",
    ),
    "unknown signature": (
        lambda: digits(signature_name="S"),
        "FAILED_PRECONDITION",
        'Serving signature key "S" not found.',
    ),
    "no inputs": (
        lambda: predict_request("digits"),
        "INVALID_ARGUMENT",
        (
            "input size does not match signature: 0!=1 len({}) != len({image}). "
            "Sent extra: {}. Missing but required: {image}."
        ),
    ),
    "too many inputs": (
        lambda: predict_request("digits", image=IMAGE, more=IMAGE),
        "INVALID_ARGUMENT",
        (
            "input size does not match signature: 2!=1 len({image,more}) != len({image}). "
            "Sent extra: {more}. Missing but required: {}."
        ),
    ),
    "another input": (
        lambda: predict_request("digits", picture=IMAGE),
        "INVALID_ARGUMENT",
        (
            "Signature input alias: image(feed name: image:0) not found in request and no default value provided. "
            "Inputs expected to be in the set {image}."
        ),
    ),
    "content too short": (
        lambda: predict_request("digits", image=_with(tensor(IMAGE), tensor_content=b"123")),
        "INVALID_ARGUMENT",
        "tensor parsing error: image: shape [1, 28, 28, 1] takes 3136 bytes and there are 3",
    ),
    "another type": (
        lambda: predict_request("digits", image=_with(tensor(IMAGE), dtype=2)),
        "INVALID_ARGUMENT",
        "input 'image' is DT_DOUBLE but the model takes DT_FLOAT",
    ),
    "another shape": (
        lambda: predict_request("digits", image=IMAGE.reshape(1, 784)),
        "INVALID_ARGUMENT",
        "input 'image' has shape [1, 784] but the model takes [-1, 28, 28, 1]",
    ),
    "no rows": (lambda: predict_request("digits", image=IMAGE[:0]), "INVALID_ARGUMENT", "input 'image' has no rows"),
    "unknown output": (
        lambda: filtered("X"),
        "INVALID_ARGUMENT",
        "output tensor alias not found in signature: X Outputs expected to be in the set {sum,double}.",
    ),
    "an output twice": (lambda: filtered("sum", "sum"), "INVALID_ARGUMENT", "duplicate output tensor alias: sum"),
}


def _with(proto: Any, **fields: Any) -> Any:
    for name, value in fields.items():
        setattr(proto, name, value)
    return proto


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_has_tensorflow_servings_words(channel: Channel, name: str) -> None:
    """Code and sentence are those that clients match on, without a hint behind them."""
    make, code, sentence = REFUSED[name]

    assert channel.refusal(PREDICTION, "Predict", make()) == (code, sentence)


def test_metadata_shows_every_signature(channel: Channel) -> None:
    """As over REST: all signatures, their methods and the graph's own names."""
    SignatureDefMap = message_class("tensorflow.serving.SignatureDefMap")  # noqa: N806 - it is a class
    request = {"model_spec": {"name": "several", "signature_name": "any"}, "metadata_field": ["signature_def"]}
    answer = channel.ask(PREDICTION, "GetModelMetadata", **request)
    found = SignatureDefMap()
    assert answer.metadata["signature_def"].type_url == "type.googleapis.com/tensorflow.serving.SignatureDefMap"
    assert answer.metadata["signature_def"].Unpack(found)

    assert (answer.model_spec.name, answer.model_spec.version.value) == ("several", 1)
    assert {"serving_default", "flipped"} <= set(found.signature_def)
    flipped = found.signature_def["flipped"]
    assert (flipped.method_name, flipped.inputs["y"].name) == (
        "tensorflow/serving/regress",
        "StatefulPartitionedCall:0",
    )
    assert flipped.inputs["y"].tensor_shape.unknown_rank
    assert [dim.size for dim in flipped.outputs["x"].tensor_shape.dim] == [-1, 1]
    assert found.signature_def["__saved_model_init_op"].outputs["__saved_model_init_op"].name == "NoOp"


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ([], "GetModelMetadataRequest must specify at least one metadata_field"),
        (["signature_def", "foo"], "Metadata field foo is not supported"),
    ],
)
def test_metadata_has_one_field(channel: Channel, fields: list[str], sentence: str) -> None:
    """None, or another one, is refused."""
    refusal = channel.refusal(PREDICTION, "GetModelMetadata", model_spec={"name": "digits"}, metadata_field=fields)

    assert refusal == ("INVALID_ARGUMENT", sentence)


def test_status_shows_every_version(start: Start) -> None:
    """States and errors have TensorFlow Serving's numbers; a label that nobody knows changes nothing."""
    running = start()
    running.catalogue.others["m"] = (
        VersionStatus(id=ServableId("m", 3), state=State.LOADING),
        VersionStatus(id=ServableId("m", 2), state=State.END, code=Code.DATA_LOSS, message="damaged"),
    )
    with Channel(running.address) as channel:
        answer = channel.ask(MODEL, "GetModelStatus", model_spec={"name": "m", "version_label": "any"})

    shown = [
        (one.version, one.state, one.status.error_code, one.status.error_message) for one in answer.model_version_status
    ]
    assert shown == [(3, 20, 0, ""), (2, 50, 15, "damaged")]


@pytest.mark.parametrize(
    ("spec", "refusal"),
    [
        ({"name": "nope"}, ("NOT_FOUND", "Could not find any versions of model nope")),
        ({"name": "digits", "version": {"value": 7}}, ("NOT_FOUND", "Could not find version 7 of model digits")),
        (None, ("INVALID_ARGUMENT", "Missing ModelSpec")),
    ],
)
def test_status_of_what_is_not_there(channel: Channel, spec: Any, refusal: tuple[str, str]) -> None:
    """Unknown models and versions are told apart."""
    assert channel.refusal(MODEL, "GetModelStatus", model_spec=spec) == refusal


def models(*configs: dict[str, Any]) -> Any:
    """A request for these models."""
    request = message_class("tensorflow.serving.ReloadConfigRequest")()
    request.config.model_config_list.SetInParent()
    for config in configs:
        request.config.model_config_list.config.add(**config)
    return request


MODEL_A = {"name": "a", "base_path": "/models/a", "model_platform": "tensorflow"}


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (
            message_class("tensorflow.serving.ReloadConfigRequest")(),
            (
                "ServerModelConfig type not supported by HandleReloadConfigRequest. "
                "Only ModelConfigList is currently supported"
            ),
        ),
        (
            models(MODEL_A | {"base_path": "rel/x"}),
            "Expected model a to have an absolute path or URI; got base_path()=rel/x",
        ),
        (models(MODEL_A, MODEL_A), "Illegal to list model a multiple times in config list"),
        (models(MODEL_A | {"model_platform": "caffe"}), "Model a requests unsupported platform caffe"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(channel: Channel, request_: Any, sentence: str) -> None:
    """In TensorFlow Serving's words, also where there is no configuration that could be replaced."""
    assert channel.refusal(MODEL, "HandleReloadConfigRequest", request_) == ("INVALID_ARGUMENT", sentence)


def test_a_store_has_no_configuration_to_replace(channel: Channel) -> None:
    """A good configuration is refused with what would take it."""
    code, sentence = channel.refusal(MODEL, "HandleReloadConfigRequest", models(MODEL_A))

    assert code == "FAILED_PRECONDITION"
    assert "FAIRLEAD_MODEL_CONFIG_FILE" in sentence


class FakeControl:
    """Remembers what was put in force, and refuses a model called "bad"."""

    def __init__(self) -> None:
        self.configs: Sequence[ModelConfig] = ()
        self.deadline: float | None = None

    async def reload(self, configs: Sequence[ModelConfig], *, deadline: float | None = None) -> None:
        if any(config.name == "bad" for config in configs):
            raise FairleadError(Code.UNKNOWN, "1 model(s) did not become available: {bad@1: damaged}")
        self.configs, self.deadline = configs, deadline


def test_a_configuration_is_replaced(start: Start) -> None:
    """The models are put in force within the client's deadline; what goes wrong is the call's status."""
    control = FakeControl()
    running = start(config_control=control)
    with Channel(running.address) as channel:
        before = time.monotonic()
        answer = channel.ask(MODEL, "HandleReloadConfigRequest", models(MODEL_A))
        refusal = channel.refusal(MODEL, "HandleReloadConfigRequest", models(MODEL_A | {"name": "bad"}))

    assert (answer.status.error_code, answer.HasField("status")) == (0, True)
    assert control.configs == (ModelConfig(name="a", base_path="/models/a"),)
    assert control.deadline is not None
    assert before < control.deadline < before + 2 * TIMEOUT_S
    assert refusal == ("UNKNOWN", "1 model(s) did not become available: {bad@1: damaged}")


def example(**features: Any) -> Any:
    """A tensorflow.Example of floats and bytes."""
    made = message_class("tensorflow.Example")()
    for name, values in features.items():
        feature = made.features.feature[name]
        if isinstance(values, bytes):
            feature.bytes_list.value.append(values)
        elif all(isinstance(value, int) for value in values):
            feature.int64_list.value.extend(values)
        else:
            feature.float_list.value.extend(values)
    return made


def test_examples_are_classified(channel: Channel) -> None:
    """Every class with its name and score, for each example."""
    examples = [example(image=[0.0] * 784), example(image=[1.0] + [0.0] * 783)]
    answer = channel.ask(
        PREDICTION, "Classify", model_spec={"name": "digits"}, input={"example_list": {"examples": examples}}
    )
    first, second = answer.result.classifications

    assert [one.label for one in first.classes] == list("0123456789")
    assert [one.score for one in first.classes] == pytest.approx([0.1] * 10)
    assert second.classes[0].score > second.classes[1].score
    assert (answer.model_spec.version.value, answer.model_spec.signature_name) == (1, "serving_default")


def test_examples_are_regressed_with_their_context(channel: Channel) -> None:
    """The context's features are everyone's; whole numbers are numbers."""
    answer = channel.ask(
        PREDICTION,
        "Regress",
        model_spec={"name": "half"},
        input={"example_list_with_context": {"examples": [example(x=[3]), example()], "context": example(x=[1.0])}},
    )

    assert [one.value for one in answer.result.regressions] == [3.5, 2.5]


def test_serialized_examples_are_passed_on(channel: Channel) -> None:
    """A signature that takes serialized examples gets TensorFlow's bytes."""
    answer = channel.ask(
        PREDICTION,
        "Classify",
        model_spec={"name": "serialized"},
        input={"example_list": {"examples": [example(x=[1])]}},
    )
    size = len(example(x=[1]).SerializeToString())

    assert [one.score for one in answer.result.classifications[0].classes] == [size, 0]


def test_several_inferences_are_answered_together(channel: Channel) -> None:
    """Each task has a result of its own kind."""
    tasks = [
        {"model_spec": {"name": "half"}, "method_name": "tensorflow/serving/regress"},
        {
            "model_spec": {"name": "half", "signature_name": "serving_default"},
            "method_name": "tensorflow/serving/classify",
        },
    ]
    answer = channel.ask(
        PREDICTION, "MultiInference", tasks=tasks, input={"example_list": {"examples": [example(x=[1.0])]}}
    )
    regression, classification = answer.results

    assert regression.regression_result.regressions[0].value == 2.5
    assert classification.classification_result.classifications[0].classes[0].score == 2.5
    assert regression.model_spec.version.value == 1


HALF = {"name": "half"}
INFERENCES: dict[str, tuple[str, dict[str, Any], tuple[str, str]]] = {
    "no examples": (
        "Classify",
        {"model_spec": {"name": "digits"}},
        ("INVALID_ARGUMENT", "Input is empty."),
    ),
    "an unknown signature": (
        "Regress",
        {
            "model_spec": {"name": "half", "signature_name": "S"},
            "input": {"example_list": {"examples": [example(x=[1])]}},
        },
        ("INVALID_ARGUMENT", "No signature was found with the name: S"),
    ),
    "no tasks": ("MultiInference", {}, ("INVALID_ARGUMENT", "Inference request has no tasks.")),
    "an unknown method": (
        "MultiInference",
        {"tasks": [{"model_spec": HALF, "method_name": "tensorflow/serving/predict"}]},
        ("UNIMPLEMENTED", "Unsupported signature method_name: tensorflow/serving/predict"),
    ),
    "two models": (
        "MultiInference",
        {
            "tasks": [
                {"model_spec": {"name": name}, "method_name": "tensorflow/serving/regress"} for name in ("half", "echo")
            ]
        },
        ("INVALID_ARGUMENT", "All ModelSpecs in a MultiInferenceRequest must access the same model name."),
    ),
    "the same twice": (
        "MultiInference",
        {"tasks": [{"model_spec": HALF, "method_name": "tensorflow/serving/regress"}] * 2},
        ("INVALID_ARGUMENT", "Duplicate evaluation of a signature in a MultiInferenceRequest."),
    ),
    "no model": (
        "MultiInference",
        {"tasks": [{"method_name": "tensorflow/serving/regress"}]},
        ("INVALID_ARGUMENT", "Missing ModelSpec"),
    ),
}


@pytest.mark.parametrize("name", INFERENCES)
def test_an_inference_that_makes_no_sense_is_refused(channel: Channel, name: str) -> None:
    """Code and sentence are TensorFlow Serving's."""
    method, fields, refusal = INFERENCES[name]

    assert channel.refusal(PREDICTION, method, **fields) == refusal
