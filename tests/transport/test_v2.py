"""The Open Inference Protocol's pages, its way through to an answer, and the statuses of its refusals."""

import math
import struct
from typing import Any

import pytest
from tests.transport.conftest import Client
from tests.transport.fakes import FakeCatalogue, FakeControl, FakePredictor, build_app
from tests.transport.v2_requests import echo, infer, tensor

from fairlead.errors import Code
from fairlead.servable.identity import ServableId
from fairlead.serving.status import Readiness, State, VersionStatus


def test_live_and_ready(client: Client, catalogue: FakeCatalogue) -> None:
    """The probes answer with the words that KServe's client reads."""
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    catalogue.ready = Readiness(is_started=False, is_ready=False)
    answer = client.get("/v2/health/ready")
    assert (answer.status, answer.json()) == (503, {"ready": False})
    assert client.get("/v2/health/live").status == 200


def test_a_drain_withdraws_readiness(client: Client) -> None:
    """Once the drain has begun the process lives and is not ready."""
    client.app.withdrawn = True
    assert client.get("/v2/health/ready").status == 503
    assert client.get("/v2/health/live").status == 200


def test_the_server_names_only_extensions_that_it_has(client: Client) -> None:
    """Clients rely on the names, so what is half there is not among them."""
    page = client.get("/v2").json()
    assert page["name"] == "fairlead"
    assert isinstance(page["version"], str)
    assert page["extensions"] == ["binary_tensor_data", "classification", "model_configuration", "statistics"]


@pytest.mark.parametrize("version", ["", "/versions/1", "/versions/01", "/labels/stable"])
def test_metadata(client: Client, version: str) -> None:
    """A model's page has its tensors, with the batch as -1, and the versions that answer."""
    assert client.get(f"/v2/models/pair{version}").json() == {
        "name": "pair",
        "versions": ["1"],
        "platform": "numpy",
        "inputs": [
            {"name": "a", "datatype": "FP32", "shape": [-1, 2]},
            {"name": "n", "datatype": "INT32", "shape": [-1]},
        ],
        "outputs": [
            {"name": "sum", "datatype": "FP32", "shape": [-1]},
            {"name": "double", "datatype": "INT32", "shape": [-1]},
        ],
    }
    assert client.get(f"/v2/models/pair{version}/ready").json() == {"name": "pair", "ready": True}


def test_the_metadata_name_the_classes(client: Client) -> None:
    """As a property, whose value is a text: what they are is no part of a tensor. A model without any has none."""
    page = client.get("/v2/models/digits").json()

    assert page["properties"] == {"classes": '["0","1","2","3","4","5","6","7","8","9"]'}


def test_an_answer_in_json(client: Client) -> None:
    """The answer names who gave it, echoes the id, and its data is flat."""
    answer = infer(client, "pair", {
        "id": "42",
        "inputs": [tensor("n", "INT32", [2], [3, 4]), tensor("a", "FP32", [2, 2], [[1, 2], [3, 4.5]])],
    })  # fmt: skip
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == {
        "id": "42",
        "model_name": "pair",
        "model_version": "1",
        "outputs": [
            {"name": "sum", "datatype": "FP32", "shape": [2], "data": [3.0, 7.5]},
            {"name": "double", "datatype": "INT32", "shape": [2], "data": [6, 8]},
        ],
    }


@pytest.mark.parametrize("id_", [{}, {"id": ""}])
def test_no_id_is_made_up(client: Client, id_: dict[str, str]) -> None:
    """A request without an id gets none back."""
    assert "id" not in infer(client, "echo", echo() | id_).json()


@pytest.mark.parametrize("path", ["echo", "echo/versions/1", "ech%6F", "echo/versions/1?x=y", "echo/labels/st%61ble"])
def test_ways_to_name_a_version(client: Client, path: str) -> None:
    """Names and labels are decoded, versions are numbers, and a query changes nothing."""
    name, _, query = path.partition("?")
    assert client.post(f"/v2/models/{name}/infer?{query}", echo()).json()["model_version"] == "1"


def test_outputs_come_as_they_were_asked_for(client: Client) -> None:
    """Only the outputs that are listed come, in the order of the list."""
    inputs = [tensor("a", "FP32", [1, 2], [1, 2]), tensor("n", "INT32", [1], [3])]
    names = [{"name": "double"}, {"name": "sum"}]
    both = infer(client, "pair", {"inputs": inputs, "outputs": names}).json()["outputs"]
    one = infer(client, "pair", {"inputs": inputs, "outputs": names[:1]}).json()["outputs"]
    all_ = infer(client, "pair", {"inputs": inputs, "outputs": []}).json()["outputs"]
    assert [[output["name"] for output in outputs] for outputs in (both, one, all_)] == [
        ["double", "sum"], ["double"], ["sum", "double"],
    ]  # fmt: skip


def test_what_is_not_known_is_ignored(client: Client) -> None:
    """Keys that the protocol does not have, and parameters that nobody here minds, do no harm."""
    request = echo(parameters={"mine": 1.5}, more=[]) | {
        "model_name": "other",
        "parameters": {"sequence_id": 1, "priority": 2, "timeout": 3, "own": "x", "flag": True},
        "outputs": [{"name": "y", "parameters": {"own": "x"}, "more": {}}],
    }
    assert infer(client, "echo", request).status == 200


def test_the_content_type_is_never_looked_at(client: Client) -> None:
    """Tritonclient sends none, or octet-stream whatever the body is."""
    for kind in ("application/octet-stream", "text/plain", ""):
        assert infer(client, "echo", echo(), content_type=kind).status == 200


@pytest.mark.parametrize(
    ("model", "said"), [("nope", "'nope' is not found"), ("echo/versions/9", "'echo' version 9 is not found"),
                        ("echo/versions/0", "'echo' version 0 is not found")]
)  # fmt: skip
def test_an_unknown_model_is_404(client: Client, model: str, said: str) -> None:
    """It is told for every question, and before any fault in the body."""
    answers = [
        infer(client, model, b"{"),
        client.get(f"/v2/models/{model}"),
        client.get(f"/v2/models/{model}/ready"),
    ]
    for answer in answers:
        assert answer.status == 404
        assert said in answer.error


@pytest.mark.parametrize("body", [echo(), b"{"])
def test_an_unknown_label_is_404(client: Client, body: Any) -> None:
    """For every question; beside the sentence stands the code."""
    hint = "GET /models lists the models, their versions and labels"
    for answer in (infer(client, "echo/labels/nope", body), client.get("/v2/models/echo/labels/nope/ready")):
        assert answer.status == 404
        assert answer.json() == {
            "error": f"echo has no label 'nope'; it has stable ({hint})",
            "code": "NOT_FOUND",
            "hint": hint,
        }


def test_a_version_beyond_64_bits_is_400(client: Client) -> None:
    """A version that no 64-bit integer holds is the client's fault."""
    assert client.get("/v2/models/echo/versions/9223372036854775808").status == 400


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (VersionStatus(id=ServableId("late", 2), state=State.LOADING), 503, "version 2 is LOADING"),
        (VersionStatus(id=ServableId("late", 2), state=State.START), 503, "version 2 is START"),
        (VersionStatus(id=ServableId("late", 2), state=State.END, code=Code.DATA_LOSS, message="torn"), 503, "torn"),
        (VersionStatus(id=ServableId("late", 2), state=State.END), 404, "'late'"),
    ],
)
def test_a_version_that_is_not_ready(
    client: Client, catalogue: FakeCatalogue, status: VersionStatus, code: int, said: str
) -> None:
    """What should answer and cannot yet is 503 with the reason; what was unloaded is gone."""
    catalogue.others["late"] = (status,)
    for path in ("late", "late/versions/2"):
        for answer in (infer(client, path, echo()), client.get(f"/v2/models/{path}/ready")):
            assert answer.status == code
            assert said in answer.error


@pytest.mark.parametrize(
    "path",
    [
        "/v2/", "/v2/models", "/v2/models/", "/v2/models/echo/", "/v2/models/echo/trace/setting", "/v2/logging",
        "/v2/models/echo/versions/abc", "/v2/models/echo/versions/", "/v2/health", "/v2/x",
    ],
)  # fmt: skip
def test_an_unknown_path_is_404(client: Client, path: str) -> None:
    """Anything else under /v2 is 404 in the dialect's shape."""
    answer = client.get(path)
    assert answer.status == 404
    assert path in answer.error


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v2/models/echo/infer", "POST"),
        ("GET", "/v2/repository/index", "POST"),
        ("GET", "/v2/repository/models/echo/load", "POST"),
        ("POST", "/v2/models/echo", "GET"),
        ("POST", "/v2", "GET"),
        ("HEAD", "/v2/health/live", "GET"),
        ("PUT", "/v2/models/echo/ready", "GET"),
    ],
)
def test_the_wrong_method_is_405(client: Client, method: str, path: str, allowed: str) -> None:
    """The refusal says which method the path answers."""
    answer = client.request(method, path)
    assert (answer.status, answer.headers["allow"]) == (405, allowed)


def test_the_index(client: Client, catalogue: FakeCatalogue) -> None:
    """Every version has its state, and a reason where one is due; a model that was never up has its name alone."""
    catalogue.ready = Readiness(is_started=True, is_ready=False, models={"digits": 1, "late": None, "unseen": None})
    catalogue.others["late"] = (
        VersionStatus(id=ServableId("late", 4), state=State.START),
        VersionStatus(id=ServableId("late", 3), state=State.LOADING),
        VersionStatus(id=ServableId("late", 2), state=State.END, code=Code.DATA_LOSS, message="torn"),
        VersionStatus(id=ServableId("late", 1), state=State.UNLOADING),
    )
    ready = {"name": "digits", "version": "1", "state": "READY"}
    assert client.post("/v2/repository/index").json() == [
        ready,
        {"name": "late", "version": "4", "state": "UNAVAILABLE", "reason": "not loaded yet"},
        {"name": "late", "version": "3", "state": "LOADING"},
        {"name": "late", "version": "2", "state": "UNAVAILABLE", "reason": "torn"},
        {"name": "late", "version": "1", "state": "UNLOADING"},
        {"name": "unseen"},
    ]
    assert client.post("/v2/repository/index", {"ready": True}).json() == [ready]
    assert client.post("/v2/repository/index", b"{").status == 400


@pytest.mark.parametrize("verb", ["load", "unload"])
def test_releases_decide_what_is_loaded(client: Client, verb: str) -> None:
    """Loading by request is not allowed; the refusal says what to do instead. An unknown model is 404 first."""
    answer = client.post(f"/v2/repository/models/digits/{verb}", {})
    assert answer.status == 503
    assert "retry-after" not in answer.headers
    assert "explicit model load / unload is not allowed" in answer.error
    assert "fairlead promote digits" in answer.error
    assert client.post(f"/v2/repository/models/nope/{verb}", {}).status == 404


@pytest.fixture
def control() -> FakeControl:
    """What loads and unloads in `controlled`."""
    return FakeControl()


@pytest.fixture
def controlled(catalogue: FakeCatalogue, predictor: FakePredictor, control: FakeControl) -> Client:
    """A client of an application in which models are loaded by request."""
    return Client(build_app(catalogue, predictor, control=control))


@pytest.mark.parametrize("body", [b"", b"{}", b'{"parameters":{"unload_dependents":false}}'])
def test_models_are_loaded_by_request_where_that_is_allowed(
    controlled: Client, control: FakeControl, body: bytes
) -> None:
    """The answer is empty; the body may be, too. The extension is among those that are offered."""
    for verb in ("load", "unload"):
        answer = controlled.post(f"/v2/repository/models/a%20b/{verb}", body)
        assert (answer.status, answer.body) == (200, b"")
    assert control.told == ["load a b", "unload a b"]
    assert "model_repository" in controlled.get("/v2").json()["extensions"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"parameters":{"config":"{}"}}', "'config' is not offered"),
        (b'{"parameters":{"file:../../x/1/model.onnx":""}}', "'file:../../x/1/model.onnx' is not offered"),
        (b'{"parameters":[]}', "must be a JSON object"),
        (b"[]", "must be a JSON object"),
        (b"{", "JSON Parse error"),
    ],
)
def test_a_request_brings_no_model_of_its_own(controlled: Client, control: FakeControl, body: bytes, said: str) -> None:
    """Files and configurations are refused by name, and nothing is loaded."""
    answer = controlled.post("/v2/repository/models/digits/load", body)
    assert answer.status == 400
    assert said in answer.error
    assert not control.told


@pytest.mark.parametrize("path", ["index", "models/digits/load", "models/digits/unload"])
def test_repositories_have_no_names(controlled: Client, control: FakeControl, path: str) -> None:
    """A named repository is not implemented."""
    assert controlled.post(f"/v2/repository/other/{path}", {}).status == 501
    assert not control.told


def test_the_configuration(client: Client) -> None:
    """The batch is no axis of a tensor where there is one, and types have Triton's names."""
    assert client.get("/v2/models/digits/config").json() == {
        "name": "digits",
        "platform": "numpy",
        "backend": "numpy",
        "max_batch_size": 10_000,
        "input": [{"name": "image", "data_type": "TYPE_FP32", "dims": [28, 28, 1]}],
        "output": [{"name": "probs", "data_type": "TYPE_FP32", "dims": [10]}],
    }
    fixed = client.get("/v2/models/fixed/versions/1/config").json()
    assert (fixed["max_batch_size"], fixed["input"][0]["dims"]) == (0, [3])
    assert client.get("/v2/models/words/config").json()["input"][0]["data_type"] == "TYPE_STRING"
    assert client.get("/v2/models/nope/config").status == 404


def test_statistics(client: Client) -> None:
    """A version's figures are numbers: rows, runs and how long things took, in nanoseconds."""
    infer(client, "echo", echo(shape=[2, 2], data=[1, 2, 3, 4]))
    infer(client, "echo", echo())
    (figures,) = client.get("/v2/models/echo/versions/1/stats").json()["model_stats"]
    assert {name: figures.pop(name) for name in ("name", "version", "last_inference")} == {
        "name": "echo", "version": "1", "last_inference": 1500
    }  # fmt: skip
    assert (figures.pop("inference_count"), figures.pop("execution_count")) == (3, 2)
    free, run = {"count": 1, "ns": 0}, {"count": 1, "ns": 500_000_000}
    assert figures.pop("batch_stats") == [
        {"batch_size": size, "compute_input": free, "compute_infer": run, "compute_output": free} for size in (1, 2)
    ]
    none, free = {"count": 0, "ns": 0}, {"count": 2, "ns": 0}
    assert figures == {
        "inference_stats": {
            "success": {"count": 2, "ns": 1_500_000_000},
            "fail": none,
            "queue": {"count": 2, "ns": 500_000_000},
            "compute_input": free,
            "compute_infer": {"count": 2, "ns": 1_000_000_000},
            "compute_output": free,
            "cache_hit": none,
            "cache_miss": none,
        },
        "response_stats": {},
        "memory_usage": [],
    }


def test_statistics_of_versions_that_are_up(client: Client, catalogue: FakeCatalogue) -> None:
    """A page shows what is up, used or not; a model that is not up is refused in Triton's words."""
    up, down = (
        VersionStatus(id=ServableId("other", number), state=state)
        for number, state in ((2, State.AVAILABLE), (1, State.END))
    )
    catalogue.others["other"] = (up, down)
    catalogue.ready = Readiness(is_started=True, is_ready=True, models={"echo": 1, "other": 2})
    for path, ids in (
        ("", [("echo", "1"), ("other", "2")]),
        ("other/", [("other", "2")]),
        ("other/versions/2/", [("other", "2")]),
    ):
        page = client.get(f"/v2/models/{path}stats").json()["model_stats"]
        assert [(one["name"], one["version"], one["inference_count"]) for one in page] == [(*id_, 0) for id_ in ids]
    for path in ("nope", "other/versions/1", "echo/versions/9"):
        answer = client.get(f"/v2/models/{path}/stats")
        assert answer.status == 400
        assert "is not available" in answer.error


def test_requests_are_counted_and_probes_are_not(client: Client) -> None:
    """An answer is counted under v2 with the version that gave it."""
    infer(client, "echo", echo())
    infer(client, "echo", {})
    client.get("/v2/health/ready")
    page = client.get("/metrics").body.decode()
    assert 'fairlead_requests_total{code="OK",model="echo",protocol="v2",version="1"} 1.0' in page
    assert 'fairlead_requests_total{code="INVALID_ARGUMENT",model="echo",protocol="v2",version="1"} 1.0' in page
    counted = [line for line in page.splitlines() if line.startswith("fairlead_requests_total{")]
    assert len(counted) == 2


FAULTS: list[tuple[Any, str]] = [
    (b"", "document is empty"),
    (b"{", "JSON Parse error"),
    (b'{"inputs": []} xyz', "JSON Parse error"),
    (b"[]", "must be a JSON object"),
    ({}, "'inputs'"),
    ({"inputs": {}}, "'inputs'"),
    ({"inputs": [1]}, "no object"),
    ({"inputs": []}, "expected 1 inputs but got 0 inputs"),
    (echo() | {"id": 42}, "'id'"),
    (echo() | {"parameters": {"a": {}}}, "'a'"),
    (echo() | {"parameters": {"a": None}}, "'a'"),
    (echo() | {"parameters": {"binary_data_output": 1}}, "'binary_data_output'"),
    (echo(name=1), "'name'"),
    ({"inputs": [{"shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}, "'name'"),
    ({"inputs": [{"name": "x", "datatype": "FP32", "data": [1, 2]}]}, "'shape'"),
    ({"inputs": [{"name": "x", "shape": [1, 2], "data": [1, 2]}]}, "'datatype'"),
    ({"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32"}]}, "only one of the following fields"),
    (echo(parameters={"binary_data_size": 8}), "only one of the following fields"),
    (echo(data=1.0), "'data'"),
    (echo(shape=[-1, 2]), "'shape'"),
    (echo(shape=[1.0, 2]), "'shape'"),
    (echo(shape=[True, 2]), "'shape'"),
    (echo(shape=[2]), "Expected [-1,-1], got [2]"),
    (echo(shape=[1, 3]), "takes 3 values and there are 2"),
    (echo(shape=[2**40, 2**40]), "too large"),
    (echo(shape=[0, 2**62], data=[]), "too large"),
    (echo(shape=[0, 2], data=[]), "no rows"),
    (echo(shape=[2**32, 2**20]), "values and there are 2"),
    (echo(datatype="FP64"), "'FP64', but model 'echo' expects 'FP32'"),
    (echo(datatype="fp32"), "'fp32'"),
    (echo(data=["a", 1]), '"a" is no FP32'),
    (echo(data=[True, 1]), "true is no FP32"),
    (echo(data=[None, 1]), "null is no FP32"),
    (b'{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1e400,1]}]}', "Number too big"),
    (b'{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[nan,1]}]}', "Invalid value. at offset: 63"),
    (echo(name="bogus"), "unexpected inference input 'bogus' for model 'echo'"),
    ({"inputs": echo()["inputs"] * 2}, "already exists in request"),
    ({"inputs": [*echo()["inputs"], tensor("bogus", "FP32", [1, 2], [1, 2])]}, "'bogus'"),
    (echo() | {"outputs": {}}, "'outputs'"),
    (echo() | {"outputs": [{}]}, "'name'"),
    (echo() | {"outputs": [{"name": "zz"}]}, "unexpected inference output 'zz' for model 'echo'"),
    (echo() | {"outputs": [{"name": "y"}, {"name": "y"}]}, "already exists in request"),
    (echo() | {"outputs": [{"name": "y", "parameters": {"binary_data": "yes"}}]}, "'binary_data'"),
    (echo() | {"outputs": [{"name": "y", "parameters": {"classification": -1}}]}, "'classification'"),
    (echo() | {"outputs": [{"name": "y", "parameters": {"classification": True}}]}, "'classification'"),
    (echo(parameters={"shared_memory_region": "r"}), "shared memory"),
]


@pytest.mark.parametrize(("body", "said"), FAULTS, ids=[f"{index}-{said}" for index, (_, said) in enumerate(FAULTS)])
def test_a_faulty_request_is_400(client: Client, body: Any, said: str) -> None:
    """Each fault of a client is 400 with what is wrong, and the next request is answered."""
    answer = infer(client, "echo", body)
    assert answer.status == 400
    assert said in answer.error
    assert infer(client, "echo", echo()).status == 200


def test_inputs_must_agree_on_their_rows(client: Client) -> None:
    """Inputs of different batches are refused."""
    inputs = [tensor("a", "FP32", [2, 2], [1, 2, 3, 4]), tensor("n", "INT32", [1], [3])]
    answer = infer(client, "pair", {"inputs": inputs})
    assert answer.status == 400
    assert "number of rows" in answer.error


def test_a_long_name_is_not_echoed_in_full(client: Client) -> None:
    """What a client sends by the kilobyte does not come back so."""
    for request in (echo(name="x" * 50_000), echo(datatype="x" * 50_000), echo(shape=[1] * 50_000),
                    echo() | {"outputs": [{"name": "x" * 50_000}]}, echo(data=["x" * 50_000, 1]),
                    echo() | {"parameters": {"x" * 50_000: []}}):  # fmt: skip
        answer = infer(client, "echo", request)
        assert answer.status == 400
        assert len(answer.body) < 1000


def test_what_is_not_finite_comes_back_as_a_token(client: Client) -> None:
    """NaN and infinities of the model are bare tokens, as in the other dialect."""
    request = {"inputs": [tensor("x", "FP32", [1, 3], [-1.0, 0.0, 1.0])]}
    assert b'"data":[NaN,-Infinity,0.0]' in infer(client, "logs", request).body


def test_what_is_not_finite_is_taken(client: Client) -> None:
    """Bare tokens and numbers beyond float32 reach the model, in JSON as in bytes."""
    front, tail = b'{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[', b"]}]}"
    answer = infer(client, "echo", front + b"NaN, Infinity, -Infinity, 1e39" + tail)
    assert b'"data":[NaN,Infinity,-Infinity,Infinity]' in answer.body
    blob = struct.pack("<2f", math.nan, -math.inf)
    in_bytes = {"inputs": [tensor("x", "FP32", [1, 2], binary_data_size=8)]}
    assert b'"data":[NaN,-Infinity]' in infer(client, "echo", in_bytes, blob).body
