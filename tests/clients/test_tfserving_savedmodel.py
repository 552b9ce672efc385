"""`tensorflow-serving-api` and the models it was made for: TensorFlow's own, with a configuration to change."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from tests.cli.clients import wait_until
from tests.cli.conftest import starting
from tests.clients.tfserving import TIMEOUT_S, Stubs, check_outputs, refusal

from fairlead.servable.signature import Array

X = np.array([[1], [2]], np.float32)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three models of TensorFlow, one of them with two versions."""
    from tests.saved_models import write_adder, write_half_plus_two, write_many

    root = tmp_path_factory.mktemp("models")
    write_half_plus_two(root / "half_plus_two" / "00000123")
    write_many(root / "many" / "1")
    write_adder(root / "adder" / "1", 1.0)
    write_adder(root / "adder" / "2", 2.0)
    return root


@pytest.fixture(scope="module")
def stubs(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stubs]:
    """Those of a server that was started with a configuration, which has `half_plus_two` and `many`."""
    folder = tmp_path_factory.mktemp("configured")
    configs = "".join(
        f"config {{ name: '{name}' base_path: '{models / name}' model_platform: 'tensorflow' }}"
        for name in ("half_plus_two", "many")
    )
    (folder / "models.config").write_text(f"model_config_list {{ {configs} }}")
    flags = ("--model-config-file", str(folder / "models.config"), "--home", str(folder / "home"))
    with starting(folder) as start:
        # In one process: TensorFlow takes seconds to be imported by each.
        server = start(folder / "no store", *flags, "--workers", "1", "--quiet-period-s", "0")
        server.wait_ready()
        with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
            yield Stubs(channel)


@pytest.mark.parametrize(
    ("model", "signature", "inputs", "outputs"),
    [
        ("half_plus_two", "", {"x": X}, {"y": X / 2 + 2}),
        (
            "many",
            "serving_default",
            {"a": np.ones((2, 2), np.float32), "n": np.array([1, -2], np.int32)},
            {"sum": np.full(2, 2, np.float32), "double": np.array([2, -4], np.int32)},
        ),
        (
            "many",
            "words",
            {"text": np.array(["é", "a\0"], object)},
            {"upper": np.array(["é", "A\0"], object), "raw_bytes": np.array(["é", "a\0"], object)},
        ),
        ("many", "double", {"x": np.ones((1, 2, 3))}, {"y": np.full((1, 2, 3), 2.0)}),
    ],
)
def test_predict_by_signature(
    stubs: Stubs, model: str, signature: str, inputs: dict[str, Array], outputs: dict[str, Array]
) -> None:
    """Each signature has its own tensors: several of them, texts, any rank; the response names the signature."""
    response = stubs.predict(model, inputs, signature_name=signature)

    check_outputs(stubs, response, outputs)
    assert response.model_spec.signature_name == (signature or "serving_default")


def test_bytes_that_are_no_text(stubs: Stubs) -> None:
    """TensorFlow's strings are bytes, and go there and back as they are."""
    picture = np.array([b"\xff\xd8\x00", b""], object)

    response = stubs.predict("many", {"text": picture}, ["raw_bytes"], signature_name="words")

    assert stubs.tf.make_ndarray(response.outputs["raw_bytes"]).tolist() == picture.tolist()


def test_examples(stubs: Stubs) -> None:
    """Signatures that were made for examples get them serialized."""
    classify = stubs.request("classification_pb2.ClassificationRequest", "half_plus_two", signature_name="classify")
    regress = stubs.request("regression_pb2.RegressionRequest", "half_plus_two", signature_name="regress")
    examples: list[dict[str, list[Any]]] = [{"x": [1.0]}, {"x": [2.0]}]

    classified = stubs.predictions.Classify(stubs.examples(classify, *examples), TIMEOUT_S)
    regressed = stubs.predictions.Regress(stubs.examples(regress, *examples), TIMEOUT_S)

    assert [[scored.score for scored in row.classes] for row in classified.result.classifications] == [[2.5], [3.0]]
    assert [regression.value for regression in regressed.result.regressions] == [2.5, 3.0]
    assert (classified.model_spec.version.value, classified.model_spec.signature_name) == (123, "classify")


def test_examples_with_a_context(stubs: Stubs) -> None:
    """Features of the context are those of each example."""
    regress = stubs.request("regression_pb2.RegressionRequest", "half_plus_two", signature_name="regress")

    response = stubs.predictions.Regress(stubs.examples(regress, {}, {}, context={"x": [4.0]}), TIMEOUT_S)

    assert [regression.value for regression in response.result.regressions] == [4.0, 4.0]


def test_multi_inference(stubs: Stubs) -> None:
    """One set of examples, a task for each signature, and a result for each task."""
    request = stubs.apis.inference_pb2.MultiInferenceRequest()
    methods = stubs.tf.saved_model
    for name, method in (("regress", methods.REGRESS_METHOD_NAME), ("classify", methods.CLASSIFY_METHOD_NAME)):
        task = request.tasks.add(method_name=method)
        stubs.specify(task.model_spec, "half_plus_two", signature_name=name)

    response = stubs.predictions.MultiInference(stubs.examples(request, {"x": [1.0]}), TIMEOUT_S)

    regressed, classified = response.results
    assert [regression.value for regression in regressed.regression_result.regressions] == [2.5]
    assert [scored.score for scored in classified.classification_result.classifications[0].classes] == [2.5]
    assert [result.model_spec.signature_name for result in response.results] == ["regress", "classify"]


def test_metadata(stubs: Stubs) -> None:
    """Every signature, with its method and the names of the graph's own tensors."""
    request = stubs.request("get_model_metadata_pb2.GetModelMetadataRequest", "half_plus_two")
    request.metadata_field.append("signature_def")

    response = stubs.predictions.GetModelMetadata(request, TIMEOUT_S)

    signatures = stubs.apis.get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    found = signatures.signature_def
    assert {name: signature.method_name for name, signature in found.items()} == {
        "serving_default": stubs.tf.saved_model.PREDICT_METHOD_NAME,
        "classify": stubs.tf.saved_model.CLASSIFY_METHOD_NAME,
        "regress": stubs.tf.saved_model.REGRESS_METHOD_NAME,
    }
    assert found["serving_default"].inputs["x"].name == "x:0"


@pytest.mark.parametrize(
    ("signature", "inputs", "code", "words"),
    [
        ("picky", {"x": np.array([-1], np.int32)}, "INVALID_ARGUMENT", "only positive numbers"),
        ("nope", {"x": X}, "FAILED_PRECONDITION", 'Serving signature key "nope" not found.'),
        ("words", {"x": X}, "INVALID_ARGUMENT", "text"),
    ],
)
def test_errors(stubs: Stubs, signature: str, inputs: dict[str, Array], code: str, words: str) -> None:
    """What the graph itself refuses is the caller's fault."""
    answered, details = refusal(lambda: stubs.predict("many", inputs, signature_name=signature))

    assert answered == code
    assert words in details


def test_another_configuration(stubs: Stubs, models: Path) -> None:
    """New models answer once the reload has returned, labels can be given, and what is left out is unloaded."""
    kept, state = ("half_plus_two", "many"), stubs.apis.get_model_status_pb2.ModelVersionStatus
    stubs.models.HandleReloadConfigRequest(reload(stubs, models, *kept, "adder", versions=(1, 2)), TIMEOUT_S)
    assert stubs.tf.make_ndarray(stubs.predict("adder", {"x": X}).outputs["y"]).tolist() in ([[2], [3]], [[3], [4]])

    wait_until(lambda: states(stubs, "adder") == {1: state.AVAILABLE, 2: state.AVAILABLE})
    labelled = reload(stubs, models, *kept, "adder", versions=(1, 2), labels={"old": 1})
    stubs.models.HandleReloadConfigRequest(labelled, TIMEOUT_S)
    wait_until(lambda: answers(stubs, "adder", version_label="old"))
    check_outputs(stubs, stubs.predict("adder", {"x": X}, version_label="old"), {"y": X + 1})
    check_outputs(stubs, stubs.predict("adder", {"x": X}), {"y": X + 2})

    stubs.models.HandleReloadConfigRequest(reload(stubs, models, *kept), TIMEOUT_S)
    wait_until(lambda: states(stubs, "adder") == {1: state.END, 2: state.END})
    refused = refusal(lambda: stubs.predict("adder", {"x": X}))
    assert refused == ("NOT_FOUND", "Servable not found for request: Latest(adder)")


def test_configurations_that_make_no_sense(stubs: Stubs, models: Path) -> None:
    """Each is refused in TensorFlow Serving's words, and the one in force stays."""
    relative = reload(stubs, models, "many")
    relative.config.model_config_list.config[0].base_path = "models/many"
    for request, words in [
        (reload(stubs, models, "many", "many"), "Illegal to list model many multiple times in config list"),
        (relative, "Expected model many to have an absolute path or URI; got base_path()=models/many"),
        (stubs.apis.model_management_pb2.ReloadConfigRequest(), "ServerModelConfig type not supported by"),
    ]:
        code, details = refusal(stubs.models.HandleReloadConfigRequest, request, TIMEOUT_S)

        assert code == "INVALID_ARGUMENT"
        assert words in details
    check_outputs(stubs, stubs.predict("half_plus_two", {"x": X}), {"y": X / 2 + 2})


def reload(
    stubs: Stubs, models: Path, *names: str, versions: tuple[int, ...] = (), labels: dict[str, int] | None = None
) -> Any:
    """A request for a configuration of these models; `versions` and `labels` are the last one's."""
    request = stubs.apis.model_management_pb2.ReloadConfigRequest()
    for name in names:
        config = request.config.model_config_list.config.add(name=name, model_platform="tensorflow")
        config.base_path = str(models / name)
    if versions:
        config.model_version_policy.specific.versions.extend(versions)
    config.version_labels.update(labels or {})
    return request


def states(stubs: Stubs, model: str) -> dict[int, int]:
    """What its versions are doing."""
    request = stubs.request("get_model_status_pb2.GetModelStatusRequest", model)
    return {
        status.version: status.state for status in stubs.models.GetModelStatus(request, TIMEOUT_S).model_version_status
    }


def answers(stubs: Stubs, model: str, **spec: Any) -> bool:
    """Whether a prediction succeeds."""
    try:
        stubs.predict(model, {"x": X}, **spec)
    except grpc.RpcError:
        return False
    return True
