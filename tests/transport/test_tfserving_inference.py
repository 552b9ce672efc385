"""Classify and regress over JSON, and what any protocol makes of a prediction for them."""

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from tests.transport.conftest import Answer, Client
from tests.transport.fakes import FakeCatalogue, FakePredictor, manifest_of, specs

from fairlead.errors import Code, FairleadError
from fairlead.servable.signature import Array
from fairlead.serving.predictor import Prediction
from fairlead.serving.target import Target
from fairlead.transport.tfserving.answer import encode_results
from fairlead.transport.tfserving.feature import Feature, Kind
from fairlead.transport.tfserving.inference import Task, infer_all
from fairlead.transport.tfserving.method import Method
from fairlead.transport.tfserving.result import Classes, read_classes, read_values

PIXELS = [0.0] * 784


def ask(client: Client, model: str, verb: str, document: Any) -> Answer:
    """One request in JSON; bytes are sent as they are."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return client.post(f"/v1/models/{model}:{verb}", body)


def test_a_classifier_names_all_its_classes(client: Client) -> None:
    """Every class of the manifest comes with its score, in the model's order, for each example."""
    answer = ask(client, "digits", "classify", {"examples": [{"image": PIXELS}, {"image": [0.5, *PIXELS[1:]]}]})
    assert answer.status == 200
    first, second = answer.json()["results"]
    assert first == [[str(digit), pytest.approx(0.1)] for digit in range(10)]
    assert second[0][1] > second[1][1]


def test_a_regression_is_one_value_an_example(client: Client) -> None:
    """A single output of one value a row answers, whether the feature is a list, a number or a whole number."""
    answer = ask(client, "half", "regress", {"examples": [{"x": [1.0]}, {"x": 2.5}, {"x": 3}]})
    assert (answer.status, answer.body) == (200, b'{"results":[2.5,3.25,3.5]}')


def test_a_model_of_one_score_has_one_class(client: Client) -> None:
    """A class without a name is an empty text."""
    assert read_results(ask(client, "half", "classify", {"examples": [{"x": 1.0}]})) == [[["", 2.5]]]


def test_serialized_examples_go_to_the_model_that_takes_them(client: Client) -> None:
    """A signature made for it gets each example as the bytes of TensorFlow's message, and gives its own classes."""
    answer = ask(client, "serialized", "classify", {"examples": [{"x": [1]}], "signature_name": "serving_default"})
    message = b"\n\x0c\n\n\n\x01x\x12\x05\x1a\x03\n\x01\x01"
    assert read_results(answer) == [[[message.decode(), len(message)], ["none", 0.0]]]


def read_results(answer: Answer) -> Any:
    """The results of a good answer."""
    assert answer.status == 200, answer.body
    return answer.json()["results"]


def test_the_context_is_everyones(client: Client) -> None:
    """A feature of the context counts for each example that has none of its own."""
    document = {"context": {"x": 8.0}, "examples": [{}, {"x": 0.0}, {"other": "é"}]}
    assert read_results(ask(client, "half", "regress", document)) == [6.0, 2.0, 6.0]


def test_tokens_go_both_ways(client: Client) -> None:
    """NaN and Infinity come in and go out bare."""
    answer = ask(client, "half", "regress", b'{"examples": [{"x": NaN}, {"x": -Inf}, {"x": 1e300}]}')
    assert answer.body == b'{"results":[NaN,-Infinity,Infinity]}'
    classes = Classes(labels=[["a", 'b"']], scores=np.array([[math.nan, 0.1]], np.float32))
    assert encode_results(classes) == b'{"results":[[["a",NaN],["b\\"",0.1]]]}'


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({}, "JSON Value: {} When method is regress, key 'examples' is expected and was not found"),
        ({"examples": {}}, "JSON Value: {} Expecting 'examples' to be an list/array"),
        ({"examples": []}, "JSON Value: [] No values in 'examples' array"),
        ({"examples": [1]}, "Example must be JSON object but got JSON Number"),
        ({"examples": [{}], "context": []}, "Example must be JSON object but got JSON Array"),
        ({"examples": [{"x": [1, 1.0]}]}, "Unexpected element type in feature: x expecting type: int64"),
        ({"examples": [{"x": [1.0, True]}]}, "Unexpected element type in feature: x expecting type: float"),
        ({"examples": [{"x": ["a", 1]}]}, "Unexpected element type in feature: x expecting type: string"),
        ({"examples": [{"x": None}]}, "Feature: x has element with unexpected JSON type: Null"),
        ({"examples": [{"x": [[1.0]]}]}, "Feature: x has element with unexpected JSON type: Array"),
        ({"examples": [{"x": {}}]}, "Feature: x has element with unexpected JSON type: Object"),
        ({"examples": [{"x": 2**63}]}, "Feature: x has element 9223372036854775808, which 64 bits with a sign"),
        ({"examples": [{"x": {"b64": "*"}}]}, "Unable to base64 decode"),
        ({"examples": [{}]}, "Index: 0, Feature: x (data type: float) is required but could not be found."),
        ({"examples": [{"x": 1.0}, {"x": "a"}]}, "Key: x, Index: 1.  Data types don't match. Data type: string but"),
        ({"examples": [{"x": 1.0}, {"x": []}]}, "Key: x, Index: 1.  Number of string values != expected.  Values size"),
        ({"examples": [{"x": [1.0, 2.0]}]}, "Values size: 2 but output shape: [1]"),
        ({"examples": [{"x": 1.0}], "signature_name": "s"}, "No signature was found with the name: s"),
        (b"[1}", "JSON Parse error: Missing a comma or ']' after an array element. at offset: 2"),
    ],
)
def test_words_for_what_is_wrong(client: Client, document: Any, said: str) -> None:
    """Each fault is 400, in TensorFlow Serving's words where it has some."""
    answer = ask(client, "half", "regress", document)
    assert answer.status == 400
    assert said in answer.error


def test_examples_are_read_before_the_model_is_looked_up(client: Client) -> None:
    """A fault in them is 400 for a model that nobody knows, and good ones are 404."""
    assert ask(client, "nope", "classify", {"examples": [1]}).status == 400
    assert ask(client, "nope", "classify", {"examples": [{}]}).status == 404
    assert ask(client, "digits/versions/9", "classify", {"examples": [{}]}).status == 404


@pytest.mark.parametrize(
    ("model", "verb", "said"),
    [
        ("words", "classify", "No classification outputs found in SignatureDef: upper: string[-1], raw_bytes: "),
        ("pair", "regress", "No regression outputs found in SignatureDef: sum: float32[-1], double: int32[-1]"),
        ("digits", "regress", "No regression outputs found in SignatureDef: probs: float32[-1,10]"),
        ("fixed", "regress", "No regression inputs found in SignatureDef: x: float32[3]"),
        ("fixed", "classify", "No classification inputs found in SignatureDef: x: float32[3]"),
    ],
)
def test_models_that_do_not_fit(client: Client, model: str, verb: str, said: str) -> None:
    """A model without the outputs for it says so, whatever the features are."""
    answer = ask(client, model, verb, {"examples": [{"bogus": 1}]})
    assert (answer.status, answer.error[: len(said)]) == (400, said)


def predicted(answered: dict[str, Array], **declared: tuple[str, tuple[int, ...]]) -> Prediction:
    """What a version with these outputs answered."""
    manifest = manifest_of("m", specs(x=("float32", (-1,))), specs(**declared))
    return Prediction(id="", manifest=manifest, outputs=answered, rows=2)


def test_classes_without_scores_and_scores_without_classes() -> None:
    """A signature made for it may have one of the two; the other is empty."""
    words = np.array([[b"a", b"\xff"], [b"c", b"d"]], object)
    classes = read_classes(predicted({"classes": words}, classes=("string", (-1, 2))))
    assert encode_results(classes) == '{"results":[[["a",0.0],["\ufffd",0.0]],[["c",0.0],["d",0.0]]]}'.encode()
    scores = np.array([[1, 2], [3, 4]], np.float64)
    both = {"scores": ("float64", (-1, 2)), "extra": ("int32", (-1,))}
    assert read_classes(predicted({"scores": scores}, **both)).labels == [("", ""), ("", "")]


@pytest.mark.parametrize("shape", [(2,), (3, 2), (2, 2, 1)])
def test_outputs_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    """Scores that are not one row an example are no answer."""
    with pytest.raises(FairleadError, match="classes"):
        read_classes(predicted({"scores": np.zeros(shape, np.float32)}, scores=("float32", (-1, -1))))
    with pytest.raises(FairleadError, match="values for 2 examples"):
        read_values(predicted({"outputs": np.zeros((3, 2), np.float32)}, outputs=("float32", (-1, -1))))


def test_classes_and_scores_of_different_shapes() -> None:
    """Names that do not go with the scores are no answer."""
    outputs: dict[str, Array] = {"classes": np.full((2, 3), b"a", object), "scores": np.zeros((2, 2), np.float32)}
    with pytest.raises(FairleadError, match="shapes"):
        read_classes(predicted(outputs, classes=("string", (-1, -1)), scores=("float32", (-1, -1))))


class Split:
    """Predicts by a different function for each model."""

    def __init__(self) -> None:
        self.inner = FakePredictor(FakeCatalogue())
        self.asked: list[Target] = []

    async def predict(self, target: Target, *args: Any, **kwargs: Any) -> Prediction:
        self.asked.append(target)
        return await self.inner.predict(target, *args, **kwargs)


async def test_several_methods_at_once() -> None:
    """Each task is answered, in order, from the same examples."""
    tasks = [
        Task(target=Target(model="half"), method=Method.REGRESS),
        Task(target=Target(model="half", signature="serving_default"), method=Method.CLASSIFY),
    ]
    values, classes = await infer_all(Split(), tasks, [{"x": Feature(Kind.FLOAT, [1.0])}])
    assert encode_results(values.result) == b'{"results":[2.5]}'
    assert encode_results(classes.result) == b'{"results":[[["",2.5]]]}'
    assert values.manifest.version == 1


@pytest.mark.parametrize(
    ("tasks", "said"),
    [
        ([Task(target=Target(model=model), method=Method.REGRESS) for model in ("half", "echo")], "same model name"),
        ([Task(target=Target(model="half"), method=method) for method in Method], "Duplicate evaluation"),
        ([Task(target=Target(model="half", signature="s"), method=Method.REGRESS)], "with the name: s"),
    ],
)
async def test_tasks_that_cannot_go_together(tasks: Sequence[Task], said: str) -> None:
    """Tasks of several models, or twice of one signature, are refused, and one that fails fails all."""
    with pytest.raises(FairleadError, match=said):
        await infer_all(Split(), tasks, [{"x": Feature(Kind.FLOAT, [1.0])}])


def test_methods_have_tensorflows_names() -> None:
    """In gRPC a method is named in full; any other is not implemented."""
    assert [Method.named(f"tensorflow/serving/{verb}") for verb in ("classify", "regress")] == list(Method)
    with pytest.raises(FairleadError) as caught:
        Method.named("tensorflow/serving/predict")
    assert caught.value.code is Code.UNIMPLEMENTED
