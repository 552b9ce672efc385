"""Versions become a model repository that Triton loads as it is, and answer there as they do here, to the last bit."""

from __future__ import annotations

import queue
import shutil
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import text_format
from tests.cli.conftest import Server, starting
from tests.clients.models import KINDS, MIXED, fill
from tests.clients.triton import GRPC, HTTP, Flavour
from tests.exporting.triton_server import Triton, serving

from fairlead.app.exporting import export
from fairlead.config import Settings
from fairlead.errors import Code, FairleadError
from fairlead.exporting.targets import TARGETS
from fairlead.exporting.triton_config import triton_config
from fairlead.servable.manifest import Manifest
from fairlead.servable.signature import Array, Signature, TensorSpec
from fairlead.store.writable_store import WritableStore
from fairlead.training.recipe import Sources, find_recipe

TOGETHER = 40
MODELS = ("digits", "kinds", "mixed")
FLAVOURS = pytest.mark.parametrize("flavour", [HTTP, GRPC], ids=lambda flavour: flavour.name)


def repository(store: Path, folder: Path, *references: str) -> Path:
    """What Triton is started with: each version exported, and then all of them put together."""
    settings = Settings(home=folder / "home", store=store)
    for index, reference in enumerate(references):
        done = export(settings, reference, TARGETS["triton"], folder / f"exported-{index}")
        shutil.copytree(done.path, folder / "repository", dirs_exist_ok=True)
    return folder / "repository"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Triton]]:
    """Fairlead and Triton with the same models; of `digits` both versions."""
    folder = tmp_path_factory.mktemp("triton")
    fill(WritableStore(folder / "store", now=lambda: datetime.now(UTC), who="tester"))
    exported = repository(folder / "store", folder, "digits@1", *MODELS)
    with serving(exported, folder, "--model-config-name=python") as triton, starting(folder) as start:
        server = start(folder / "store")
        server.wait_ready()
        yield server, triton


def answers(at: Server | Triton, flavour: Flavour, model: str, inputs: Mapping[str, Array], **options: Any) -> Any:
    """The outputs by name, and which version says it gave them."""
    with flavour.module.InferenceServerClient(f"127.0.0.1:{at.grpc_port if flavour.is_grpc else at.port}") as client:
        given = [flavour.given(name, array) for name, array in inputs.items()]
        result = (
            client.infer(model, given, client_timeout=60.0, **options)
            if flavour.is_grpc
            else client.infer(model, given, **options)
        )
        response = result.get_response(**({"as_json": True} if flavour.is_grpc else {}))
        return {tensor["name"]: result.as_numpy(tensor["name"]) for tensor in response["outputs"]}, response[
            "model_version"
        ]


@FLAVOURS
@pytest.mark.parametrize(
    ("model", "inputs", "version"),
    [
        ("digits", {"image": np.random.default_rng(0).random((3, 28, 28, 1), np.float32)}, ""),
        ("digits", {"image": np.random.default_rng(1).random((1, 28, 28, 1), np.float32)}, "1"),
        ("mixed", MIXED, ""),
        ("kinds", {f"x_{dtype}": array for dtype, array in KINDS.items()}, ""),
    ],
)
def test_the_same_answer(
    both: tuple[Server, Triton], flavour: Flavour, model: str, inputs: Mapping[str, Array], version: str
) -> None:
    """To the same request, over REST and gRPC: every dtype, texts, single values a row, the version's number."""
    (want, answered), (got, answered_there) = (
        answers(at, flavour, model, inputs, model_version=version) for at in both
    )

    assert answered_there == answered
    assert list(got) == list(want)
    for name, array in want.items():
        assert (got[name].dtype, got[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(got[name], array)


@FLAVOURS
def test_classes_by_their_names(both: tuple[Server, Triton], flavour: Flavour) -> None:
    """Triton's classification extension says them as Fairlead does."""
    images = np.random.default_rng(2).random((2, 28, 28, 1), np.float32)
    wanted = [flavour.wanted("probs", class_count=2)]

    want, got = (answers(at, flavour, "digits", {"image": images}, outputs=wanted)[0]["probs"] for at in both)

    assert [item.decode().split(":")[1:] for item in want.flat] == [item.decode().split(":")[1:] for item in got.flat]
    assert want.ravel()[0].decode().endswith(":7:7")


def test_requests_that_run_together_are_answered_each_as_if_alone(both: tuple[Server, Triton]) -> None:
    """Also where one of them cannot be: it alone is refused. Triton's own count says that they did run together."""
    _, triton = both
    kinds = {f"x_{dtype}": array for dtype, array in KINDS.items()}
    answered: queue.Queue[tuple[int, Any, Any]] = queue.Queue()
    deadline = time.monotonic() + 60
    with GRPC.module.InferenceServerClient(f"127.0.0.1:{triton.grpc_port}") as client:
        while True:
            for number in range(TOGETHER):
                texts = np.array([[b"\xff" if number % 5 == 0 else str(number).encode(), b""]], object)
                rows = {name: array[:1] for name, array in kinds.items()} | {"x_string": texts}
                given = [GRPC.given(name, array) for name, array in rows.items()]
                client.async_infer(
                    "kinds", given, lambda result, error, number=number: answered.put((number, result, error))
                )
            for _ in range(TOGETHER):
                number, result, error = answered.get(timeout=60)
                if number % 5 == 0:
                    assert "utf-8" in str(error)
                else:
                    assert result.as_numpy("y_string").tolist() == [[str(number).encode(), b""]]
            (stats,) = client.get_inference_statistics("kinds", as_json=True)["model_stats"]
            if int(stats["execution_count"]) < int(stats["inference_count"]):
                return
            assert time.monotonic() < deadline, stats


@pytest.mark.slow
def test_real_digits(mnist_store: Path, real_data: Path, tmp_path: Path) -> None:
    """A trained network gives a thousand real pictures the same probabilities, together and alone, by REST and gRPC."""
    dataset = find_recipe("digits").load(Sources(data_dir=real_data, cache_dir=tmp_path, say=lambda line: None))
    images = dataset.held_out.take(np.arange(1000)).inputs
    exported = repository(mnist_store, tmp_path, "digits")
    with serving(exported, tmp_path, "--model-config-name=python") as triton, starting(tmp_path) as start:
        server = start(mnist_store)
        server.wait_ready()
        for flavour in (HTTP, GRPC):
            for rows in (images, images[:1], images[1:2]):
                want, got = (answers(at, flavour, "digits", {"image": rows})[0]["probs"] for at in (server, triton))
                np.testing.assert_allclose(got, want, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["config.pbtxt", "configs/python.pbtxt"])
def test_the_configuration_is_one_of_tritons(store: WritableStore, tmp_path: Path, name: str) -> None:
    """Its own schema knows every field; rows are batched where each is a tensor, and the classes have their file."""
    from tritonclient.grpc.model_config_pb2 import ModelConfig

    fill(store)
    exported = repository(store.root, tmp_path, *MODELS)
    configs = {model: text_format.Parse((exported / model / name).read_text(), ModelConfig()) for model in MODELS}

    assert {config.name for config in configs.values()} == set(MODELS)
    assert {config.backend for config in configs.values()} == {"python" if "/" in name else "onnxruntime"}
    assert {model: config.max_batch_size > 0 for model, config in configs.items()} == {
        "digits": True,
        "kinds": True,
        "mixed": False,
    }
    digits = configs["digits"]
    assert (list(digits.input[0].dims), list(digits.output[0].dims)) == ([28, 28, 1], [10])
    assert (exported / "digits" / digits.output[0].label_filename).read_text().split() == list("0123456789")
    assert (exported / "digits" / "2" / "model.onnx").is_file()


@pytest.mark.parametrize("spec", [{"shape": ()}, {"shape": (), "is_unranked": True}])
def test_a_tensor_without_an_axis_is_refused(spec: dict[str, Any]) -> None:
    """Triton has none, and the tensor is named."""
    inputs = (TensorSpec(name="x", dtype="float32", shape=(-1, 2)), TensorSpec(name="scale", dtype="float32", **spec))
    manifest = Manifest(
        model="m",
        version=1,
        runtime="onnx",
        signature=Signature(inputs=inputs, outputs=inputs[:1]),
        labels=(),
        files={},
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )

    with pytest.raises(FairleadError, match="'scale' of m@1 has no axis") as caught:
        triton_config(manifest, "python")

    assert caught.value.code is Code.UNIMPLEMENTED
