"""What all of `tritonclient`'s clients have in common: health, pages, inference, errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tests.cli.conftest import Server
from tests.clients.models import DATATYPES, KINDS, MIXED, MIXED_ANSWER, check_tensor
from tests.clients.triton import GRPC, GRPC_AIO, HTTP, HTTP_AIO, Triton, connected
from tritonclient.utils import InferenceServerException

from fairlead.errors import Code
from fairlead.servable.signature import Array

X = np.array([1, 2], np.float32)
IMAGES = np.zeros((2, 28, 28, 1), np.float32)


@pytest.fixture(params=(HTTP, HTTP_AIO, GRPC, GRPC_AIO), ids=lambda flavour: flavour.name)
def triton(request: pytest.FixtureRequest, server: Server) -> Iterator[Triton]:
    """A client of each flavour."""
    with connected(request.param, server) as opened:
        yield opened


def test_health(triton: Triton) -> None:
    """The server is live and ready, and so is each version that is loaded."""
    assert triton.client.is_server_live()
    assert triton.client.is_server_ready()
    for version in ("", "1", "2"):
        assert triton.client.is_model_ready("digits", version)


def test_server_metadata(triton: Triton) -> None:
    """It names itself, and lists what it offers beyond the protocol."""
    page = triton.page("get_server_metadata")

    assert (page["name"], bool(page["version"])) == ("fairlead", True)
    assert {"binary_tensor_data", "classification"} <= set(page["extensions"])


@pytest.mark.parametrize(("version", "versions"), [("", ["1", "2"]), ("1", ["1"])])
def test_model_metadata(triton: Triton, version: str, versions: list[str]) -> None:
    """All versions that answer, or the one that was asked for, and the shapes with their batch."""
    page = triton.page("get_model_metadata", "digits", version)

    assert (page["name"], page["versions"]) == ("digits", versions)
    assert [tensor(spec) for spec in page["inputs"]] == [("image", "FP32", [-1, 28, 28, 1])]
    assert [tensor(spec) for spec in page["outputs"]] == [("probs", "FP32", [-1, 10])]


def test_metadata_of_every_dtype(triton: Triton) -> None:
    """Each dtype has the protocol's name."""
    page = triton.page("get_model_metadata", "kinds")

    assert [tensor(spec) for spec in page["inputs"]] == [
        (f"x_{dtype}", datatype, [-1, 2]) for dtype, datatype in DATATYPES.items()
    ]


def tensor(spec: Any) -> tuple[str, str, list[int]]:
    """A tensor of a metadata page; protobuf's JSON writes sizes as strings."""
    return spec["name"], spec["datatype"], [int(size) for size in spec["shape"]]


def test_every_dtype(triton: Triton) -> None:
    """What goes in comes out, to the last bit."""
    result = triton.infer("kinds", {f"x_{dtype}": array for dtype, array in KINDS.items()})

    for dtype, array in KINDS.items():
        check_tensor(result.as_numpy(f"y_{dtype}"), array)


def test_outputs_as_they_are_asked_for(triton: Triton) -> None:
    """Only those that are wanted come back, in the order of the request."""
    wanted = ("same_text", "double", "opposite", "total")

    result = triton.infer("mixed", MIXED, wanted)

    assert [output["name"] for output in triton.response(result)["outputs"]] == list(wanted)
    assert result.as_numpy("same_bytes") is None
    for name in wanted:
        check_tensor(result.as_numpy(name), MIXED_ANSWER[name])


@pytest.mark.parametrize(("version", "served", "digit"), [("", "2", 7), ("2", "2", 7), ("1", "1", 3)])
def test_versions(triton: Triton, version: str, served: str, digit: int) -> None:
    """The version that is asked for answers, and says so; without one, the stable version."""
    result = triton.infer("digits", {"image": IMAGES}, model_version=version)

    assert result.as_numpy("probs").argmax(axis=1).tolist() == [digit, digit]
    response = triton.response(result)
    assert (response["model_name"], response["model_version"]) == ("digits", served)


def test_request_ids(triton: Triton) -> None:
    """A request's id comes back; a request without one gets none."""
    assert triton.response(triton.infer("half_plus_two", {"x": X}, request_id="a/1"))["id"] == "a/1"
    assert "id" not in triton.response(triton.infer("half_plus_two", {"x": X}))


def test_parameters(triton: Triton) -> None:
    """The client's own parameters, its priority, its time limit and its sequence hinder nothing."""
    result = triton.infer(
        "half_plus_two",
        {"x": X},
        parameters={"customer": "x", "number": 3, "flag": True},
        priority=1,
        timeout=5_000_000,
        sequence_id=7,
        sequence_start=True,
    )

    check_tensor(result.as_numpy("y"), X / 2 + 2)


def test_a_time_limit_in_the_request(triton: Triton) -> None:
    """Its parameter `timeout`, in microseconds, is kept by the server: the client learns of it by an answer."""
    with pytest.raises(InferenceServerException, match="deadline") as caught:
        triton.infer("slow", {"turns": np.array([1500], np.int64)}, timeout=50_000)

    assert caught.value.status() == triton.flavour.status(Code.DEADLINE_EXCEEDED)


def test_classification(triton: Triton) -> None:
    """The best classes of each row, best first, with their names."""
    image, best = triton.flavour.given("image", IMAGES), triton.flavour.wanted("probs", class_count=3)

    result = triton.client.infer("digits", [image], outputs=[best])

    rows = np.array([["0.910000:7:7", "0.010000:0:0", "0.010000:1:1"]] * 2, object)
    assert result.as_numpy("probs").shape == (2, 3)
    check_tensor(result.as_numpy("probs"), rows)


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")  # aiohttp's, of what its client does
def test_many_rows(triton: Triton) -> None:
    """A megabyte and more is one request, and each row has its own answer."""
    ink = np.linspace(0, 1, 400, dtype=np.float32)

    result = triton.infer("digits", {"image": np.broadcast_to(ink[:, None, None, None], (400, 28, 28, 1))})

    np.testing.assert_allclose(result.as_numpy("probs")[:, 0], 0.01 + 0.01 * ink, rtol=1e-5)


@pytest.mark.parametrize(
    ("model", "inputs", "options", "code", "words"),
    [
        ("nope", {"x": X}, {}, Code.NOT_FOUND, "unknown model: 'nope' is not found"),
        ("half_plus_two", {"x": X}, {"model_version": "9"}, Code.NOT_FOUND, "version 9 is not found"),
        ("half_plus_two", {"z": X}, {}, Code.INVALID_ARGUMENT, "unexpected inference input 'z'"),
        ("half_plus_two", {"x": X, "z": X}, {}, Code.INVALID_ARGUMENT, "unexpected inference input 'z'"),
        ("mixed", {"count": MIXED["count"]}, {}, Code.INVALID_ARGUMENT, "expected 4 inputs but got 1 inputs"),
        ("half_plus_two", {"x": X[:, np.newaxis]}, {}, Code.INVALID_ARGUMENT, "Expected [-1], got [2,1]"),
        ("half_plus_two", {"x": X.astype(np.float64)}, {}, Code.INVALID_ARGUMENT, "data-type is 'FP64', but model"),
        ("half_plus_two", {"x": X[:0]}, {}, Code.INVALID_ARGUMENT, "has no rows"),
        ("half_plus_two", {"x": X}, {"outputs": ("z",)}, Code.INVALID_ARGUMENT, "unexpected inference output 'z'"),
        ("mixed", MIXED | {"count": MIXED["count"][:1]}, {}, Code.INVALID_ARGUMENT, "differ in their number of rows"),
    ],
)
def test_errors(
    triton: Triton, model: str, inputs: dict[str, Array], options: dict[str, Any], code: Code, words: str
) -> None:
    """Each fault has its status and a sentence that names it; the connection outlives it."""
    with pytest.raises(InferenceServerException) as caught:
        triton.infer(model, inputs, **options)

    assert caught.value.status() == triton.flavour.status(code)
    assert words in caught.value.message()
    check_tensor(triton.infer("half_plus_two", {"x": X}).as_numpy("y"), X / 2 + 2)


@pytest.mark.parametrize("arguments", [("nope",), ("digits", "9")])
def test_metadata_of_what_is_unknown(triton: Triton, arguments: tuple[str, ...]) -> None:
    """Models and versions that nobody knows are not found."""
    with pytest.raises(InferenceServerException) as caught:
        triton.page("get_model_metadata", *arguments)

    assert caught.value.status() == triton.flavour.status(Code.NOT_FOUND)


@pytest.mark.parametrize(
    "call",
    ["get_trace_settings", "get_log_settings", "get_system_shared_memory_status", "get_cuda_shared_memory_status"],
)
def test_what_is_not_offered(triton: Triton, call: str) -> None:
    """Extensions that the server's metadata do not list are refused in so many words."""
    with pytest.raises(InferenceServerException) as caught:
        triton.page(call)

    assert caught.value.status() == triton.flavour.status(
        Code.UNIMPLEMENTED if triton.flavour.is_grpc else Code.NOT_FOUND
    )
    assert caught.value.message()


def test_shared_memory(triton: Triton) -> None:
    """Tensors that lie elsewhere are not looked for."""
    elsewhere = triton.flavour.module.InferInput("x", [2], "FP32")
    elsewhere.set_shared_memory("region", 8)

    with pytest.raises(InferenceServerException, match="lies in shared memory, which is not offered") as caught:
        triton.client.infer("half_plus_two", [elsewhere])

    assert caught.value.status() == triton.flavour.status(Code.INVALID_ARGUMENT)


def test_repository_index(triton: Triton) -> None:
    """Every version of every model, and that it is ready."""
    page = triton.page("get_model_repository_index")

    models = page["models"] if triton.flavour.is_grpc else page
    assert sorted((model["name"], model["version"], model["state"]) for model in models) == [
        ("digits", "1", "READY"),
        ("digits", "2", "READY"),
        ("half_plus_two", "1", "READY"),
        ("kinds", "1", "READY"),
        ("mixed", "1", "READY"),
        ("slow", "1", "READY"),
        ("table", "1", "READY"),
    ]
