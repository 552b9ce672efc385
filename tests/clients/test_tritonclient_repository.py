"""Models that `tritonclient` loads and unloads, and what it is told of them: statistics and configuration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tests.cli.clients import wait_until
from tests.cli.conftest import Server, starting
from tests.clients.conftest import filled_store
from tests.clients.models import check_tensor
from tests.clients.triton import GRPC, GRPC_AIO, HTTP, HTTP_AIO, Triton, connected
from tritonclient.utils import InferenceServerException

from fairlead.errors import Code

X = np.array([1, 2], np.float32)
Y = np.array([2.5, 3], np.float32)


@pytest.fixture(scope="module")
def explicit_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that loads what it is asked to."""
    folder = tmp_path_factory.mktemp("explicit")
    with starting(folder) as start:
        flags = ("--model-control", "explicit", "--models", "digits", "--home", str(folder / "home"))
        server = start(filled_store(folder), *flags)
        server.wait_ready()
        yield server


@pytest.fixture(params=(HTTP, HTTP_AIO, GRPC, GRPC_AIO), ids=lambda flavour: flavour.name)
def triton(request: pytest.FixtureRequest, explicit_server: Server) -> Iterator[Triton]:
    """A client of each flavour."""
    with connected(request.param, explicit_server) as opened:
        yield opened


def states(triton: Triton, model: str) -> list[tuple[str, str, str]]:
    """The index's entries for a model: version, state and reason."""
    page = triton.page("get_model_repository_index")
    entries = page["models"] if triton.flavour.is_grpc else page
    return [
        (entry.get("version", ""), entry.get("state", ""), entry.get("reason", ""))
        for entry in entries
        if entry["name"] == model
    ]


def test_load_and_unload(triton: Triton) -> None:
    """A model answers once its load has returned and is not found once it is unloaded; the server stays ready."""
    assert "model_repository" in triton.page("get_server_metadata")["extensions"]
    # The last flavour's unload may have been asked of another of the server's processes, which tells this one in time.
    wait_until(lambda: ("1", "READY", "") not in states(triton, "half_plus_two"))

    triton.client.load_model("half_plus_two")
    assert states(triton, "half_plus_two") == [("1", "READY", "")]
    check_tensor(triton.infer("half_plus_two", {"x": X}).as_numpy("y"), Y)
    triton.client.load_model("half_plus_two")

    triton.client.unload_model("half_plus_two")
    wait_until(lambda: states(triton, "half_plus_two") == [("1", "UNAVAILABLE", "unloaded")])
    with pytest.raises(InferenceServerException) as caught:
        triton.infer("half_plus_two", {"x": X})
    assert caught.value.status() == triton.flavour.status(Code.NOT_FOUND)
    assert triton.client.is_server_ready()


def test_models_that_nobody_knows(triton: Triton) -> None:
    """They cannot be loaded; unloading them changes nothing."""
    with pytest.raises(InferenceServerException, match="failed to load 'nope'") as caught:
        triton.client.load_model("nope")
    assert caught.value.status() == triton.flavour.status(Code.NOT_FOUND)
    triton.client.unload_model("nope")


@pytest.mark.parametrize("options", [{"config": "{}"}, {"config": "{}", "files": {"file:1/model.onnx": b"x"}}])
def test_models_that_a_client_brings(triton: Triton, options: dict[str, Any]) -> None:
    """A model is what was published: neither its files nor its configuration come by request."""
    with pytest.raises(InferenceServerException, match="a model is loaded from the store") as caught:
        triton.client.load_model("half_plus_two", **options)
    assert caught.value.status() == triton.flavour.status(Code.INVALID_ARGUMENT)


def test_models_whose_releases_decide(server: Server, triton: Triton) -> None:
    """Where that is so, requests to load and unload are refused with what to do instead."""
    code = Code.FAILED_PRECONDITION if triton.flavour.is_grpc else Code.UNAVAILABLE
    with connected(triton.flavour, server) as other:
        for call in (other.client.load_model, other.client.unload_model):
            with pytest.raises(InferenceServerException, match="explicit model load / unload is not allowed") as caught:
                call("digits")
            assert caught.value.status() == triton.flavour.status(code)
        assert "model_repository" not in other.page("get_server_metadata")["extensions"]


def test_statistics(triton: Triton) -> None:
    """Rows, runs, requests and the time they took, of one version and of all that are loaded."""
    images = np.zeros((3, 28, 28, 1), np.float32)
    before = figures(triton, "digits", "2")

    for _ in range(4):
        triton.infer("digits", {"image": images})

    after = figures(triton, "digits", "2")
    assert {name: after[name] - before[name] for name in after} == {
        "inference_count": 12,
        "execution_count": 4,
        "success": 4,
        "ns": after["ns"] - before["ns"],
    }
    assert after["ns"] > before["ns"]
    everything = triton.page("get_inference_statistics")["model_stats"]
    known = {(entry["name"], entry["version"]) for entry in everything}
    assert known - {("half_plus_two", "1")} == {("digits", "1"), ("digits", "2")}, (
        "what was unloaded may still be going"
    )


def figures(triton: Triton, *arguments: str) -> dict[str, int]:
    """Of one version; protobuf's JSON writes large numbers as strings and leaves zeros out."""
    (entry,) = triton.page("get_inference_statistics", *arguments)["model_stats"]
    success = entry.get("inference_stats", {}).get("success", {})
    shown = {
        "inference_count": entry.get("inference_count", 0),
        "execution_count": entry.get("execution_count", 0),
        "success": success.get("count", 0),
        "ns": success.get("ns", 0),
    }
    return {name: int(value) for name, value in shown.items()}


def test_statistics_of_what_is_unknown(triton: Triton) -> None:
    """There are none."""
    with pytest.raises(InferenceServerException) as caught:
        triton.page("get_inference_statistics", "nope")
    assert caught.value.status() == triton.flavour.status(Code.INVALID_ARGUMENT)


def test_model_configuration(triton: Triton) -> None:
    """The tensors as Triton's configuration has them: without their batch."""
    page = triton.page("get_model_config", "digits")

    config = page["config"] if triton.flavour.is_grpc else page
    assert (config["name"], config["platform"]) == ("digits", "onnxruntime_onnx")
    assert config["max_batch_size"] > 1
    (image,), (probs,) = config["input"], config["output"]
    assert (image["name"], image["data_type"], list(map(int, image["dims"]))) == ("image", "TYPE_FP32", [28, 28, 1])
    assert (probs["name"], probs["data_type"], list(map(int, probs["dims"]))) == ("probs", "TYPE_FP32", [10])
