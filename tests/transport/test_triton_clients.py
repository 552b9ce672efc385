"""Triton's clients manage models, and read their figures, over REST and gRPC alike."""

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from tests.transport.fakes import FakeControl
from tests.transport.grpc.live import Running as GrpcRunning
from tests.transport.live import TIMEOUT_S
from tests.transport.live import Running as HttpRunning
from tritonclient.utils import InferenceServerException


@pytest.fixture(scope="module")
def control() -> FakeControl:
    """What both servers load and unload with."""
    return FakeControl()


@pytest.fixture(scope="module")
def http(control: FakeControl) -> Iterator[HttpRunning]:
    """A REST server whose models are loaded by request."""
    server = HttpRunning(quiet_s=0.0, control=control)
    yield server
    server.drain()
    server.thread.join(TIMEOUT_S)


@pytest.fixture(scope="module")
def grpc(control: FakeControl) -> Iterator[GrpcRunning]:
    """A gRPC server of the same kind."""
    server = GrpcRunning(control=control)
    yield server
    server.stop()


Talker = tuple[ModuleType, Any, dict[str, Any]]


@pytest.fixture(params=["http", "grpc"])
def triton(request: pytest.FixtureRequest, http: HttpRunning, grpc: GrpcRunning) -> Iterator[Talker]:
    """A client's module, the client, and what makes its answers dictionaries."""
    if request.param == "http":
        import tritonclient.http

        with tritonclient.http.InferenceServerClient(f"127.0.0.1:{http.port}") as client:
            yield tritonclient.http, client, {}
    else:
        import tritonclient.grpc

        with tritonclient.grpc.InferenceServerClient(grpc.address) as client:
            yield tritonclient.grpc, client, {"as_json": True}


def test_models_are_loaded_and_unloaded(triton: Talker, control: FakeControl) -> None:
    """What the client asks for is done; files that it brings are refused."""
    _, client, _ = triton
    control.told.clear()
    client.load_model("digits")
    client.unload_model("digits", unload_dependents=True)
    with pytest.raises(InferenceServerException, match="not offered"):
        client.load_model("digits", config="{}", files={"file:1/model.onnx": b"x"})
    assert control.told == ["load digits", "unload digits"]


def test_the_index(triton: Talker) -> None:
    """The client lists what there is."""
    _, client, how = triton
    index = client.get_model_repository_index(**how)
    models = index["models"] if how else index
    assert models == [{"name": "digits", "version": "1", "state": "READY"}]


def test_the_configuration(triton: Talker) -> None:
    """The client reads a configuration with the batch left out."""
    _, client, how = triton
    config = client.get_model_config("digits", **how)
    config = config["config"] if how else config
    (tensor,) = config["input"]
    assert (config["max_batch_size"], tensor["name"], tensor["data_type"]) == (10_000, "image", "TYPE_FP32")
    assert [int(size) for size in tensor["dims"]] == [28, 28, 1]


def test_the_statistics(triton: Talker) -> None:
    """Figures grow with each inference."""
    module, client, how = triton
    tensor = module.InferInput("x", [3, 2], "FP32")
    tensor.set_data_from_numpy(np.ones((3, 2), np.float32))

    def rows() -> int:
        (figures,) = client.get_inference_statistics("echo", **how)["model_stats"]
        return int(figures.get("inference_count", 0))

    before = rows()
    client.infer("echo", [tensor])
    assert rows() == before + 3
    assert [one["name"] for one in client.get_inference_statistics(**how)["model_stats"]] == ["digits"]


def test_what_is_not_known(triton: Talker) -> None:
    """Statistics of an unknown model are refused in Triton's words."""
    _, client, _ = triton
    with pytest.raises(InferenceServerException, match="requested model 'nope' is not available"):
        client.get_inference_statistics("nope")


def test_the_extensions(triton: Talker) -> None:
    """The client sees what it may rely on."""
    _, client, how = triton
    assert set(client.get_server_metadata(**how)["extensions"]) == {
        "binary_tensor_data", "classification", "model_configuration", "model_repository", "statistics"
    }  # fmt: skip
