"""Every route and every method asks for a credential, but for those that say whether the server is well."""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import grpc
import numpy as np
import orjson
import pytest
from google.protobuf import descriptor_pb2
from tests.transport.conftest import Client
from tests.transport.fakes import FakeCatalogue, FakePredictor, build_app
from tests.transport.grpc.live import TIMEOUT_S, Running
from tests.transport.grpc.protos import infer_request, predict_request
from tests.transport.test_openapi import filled

from fairlead.access.doorkeeper import Doorkeeper
from fairlead.access.followed_keys import FollowedKeys
from fairlead.access.key_file import KeyFile
from fairlead.access.scope import Scope
from fairlead.app.management import Management
from fairlead.app.supervision.supervisor import Supervisor
from fairlead.telemetry.instruments import Instruments
from fairlead.transport.grpc.messages import message_class
from fairlead.transport.http import HttpApp
from fairlead.transport.openapi.document import OPERATIONS

OPEN_ROUTES = {
    ("GET", path)
    for path in (
        *("/", "/alive", "/health", "/health/live", "/health/ready", "/health/startup", "/try/try.js"),
        *("/v2/health/live", "/v2/health/ready"),
    )
}
OPEN_PAGES = {"/alive", "/health", "/health/live", "/health/ready", "/health/startup"}
HEALTH = "/grpc.health.v1.Health"
OPEN_METHODS = {f"{HEALTH}/Check", f"{HEALTH}/Watch"} | {
    f"/inference.GRPCInferenceService/{name}" for name in ("ServerLive", "ServerReady")
}
ROUTES = sorted({(operation.method.upper(), filled(operation)) for operation in OPERATIONS})
REFLECTION = "grpc.reflection.v1.ServerReflection"


class Keys:
    """A file with a key of each kind."""

    def __init__(self, path: Path) -> None:
        file = KeyFile(path)
        self.by_scope = {scope: file.create(scope.value, frozenset({scope}), lives_s=None)[1] for scope in Scope}
        self.expired = file.create("old", frozenset({Scope.ADMIN}), lives_s=0)[1]
        revoked, self.revoked = file.create("revoked", frozenset({Scope.ADMIN}), lives_s=None)
        file.revoke(revoked.id)
        self.wrong = f"{self.by_scope[Scope.ADMIN][:-2]}--"
        self.doorkeeper = Doorkeeper([FollowedKeys(file)])

    @property
    def bad(self) -> list[str]:
        """What opens nothing."""
        return ["", "nonsense", self.wrong, self.expired, self.revoked]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    """The keys of all tests here."""
    return Keys(tmp_path_factory.mktemp("keys") / "keys.json")


@pytest.fixture(scope="module")
def guarded(keys: Keys) -> Client:
    """A client of an application that asks for credentials."""
    catalogue = FakeCatalogue()
    return Client(build_app(catalogue, FakePredictor(catalogue), doorkeeper=keys.doorkeeper))


@pytest.fixture(scope="module")
def channel(keys: Keys) -> Iterator[grpc.Channel]:
    """A channel to a server that asks for credentials."""
    running = Running(doorkeeper=keys.doorkeeper)
    with grpc.insecure_channel(running.address) as channel:
        yield channel
    running.stop()


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_route_asks_for_a_credential(guarded: Client, keys: Keys, method: str, path: str) -> None:
    """Without one, or with one that is not good: 401, the same body, and how to ask; nothing of it is repeated."""
    if (method, path) in OPEN_ROUTES:
        assert guarded.request(method, path).status not in (401, 403)
        return
    answers = [guarded.request(method, path, b"{", authorization=f"Bearer {bad}") for bad in keys.bad]
    answers += [guarded.request(method, path, b"{", x_api_key=bad) for bad in keys.bad]
    answers += [guarded.request(method, path), guarded.request(method, path, authorization="Basic Zm9vOmJhcg==")]

    assert {answer.status for answer in answers} == {401}
    assert {answer.headers["www-authenticate"] for answer in answers} == {"Bearer"}
    assert {answer.error.removesuffix(")").partition(" (")[0] for answer in answers} == {
        "This needs a credential that is good"
    }


@pytest.mark.parametrize(("method", "path"), [route for route in ROUTES if route not in OPEN_ROUTES])
def test_every_route_has_one_scope(guarded: Client, keys: Keys, method: str, path: str) -> None:
    """A key of that scope and one of admin are let in, in either header; all others get 403."""
    statuses = {
        scope: guarded.request(method, path, b"{", x_api_key=key).status for scope, key in keys.by_scope.items()
    }
    let_in = {scope for scope, status in statuses.items() if status not in (401, 403)}

    assert len(let_in - {Scope.ADMIN}) <= 1
    assert Scope.ADMIN in let_in
    assert {statuses[scope] for scope in Scope if scope not in let_in} == {403}
    is_admin = "/repository/models/" in path
    expected = {"/feedback": Scope.FEEDBACK, "/metrics": Scope.METRICS}.get(path, Scope.PREDICT)
    if path.startswith("/monitoring/"):
        expected = Scope.METRICS
    assert let_in == ({Scope.ADMIN} if is_admin else {Scope.ADMIN, expected})
    bearer = guarded.request(method, path, b"{", authorization=f"bearer {keys.by_scope[Scope.ADMIN]}")
    assert bearer.status not in (401, 403)


@pytest.mark.parametrize("path", ["/nowhere", "/v2/nowhere", "/v1/nowhere", "/v2/health/live/", "//health/live", "/V2"])
def test_what_means_nothing_asks_for_a_credential_too(guarded: Client, path: str) -> None:
    """Nobody learns without one what there is."""
    assert guarded.get(path).status == 401
    assert guarded.post("/v2/health/live").status == 401


def test_errors_keep_the_shapes_of_their_dialects(guarded: Client) -> None:
    """TensorFlow Serving's and V2's are a sentence, the simple API's an object."""
    for path in ("/v1/models/echo:predict", "/v2/models/echo/infer"):
        assert isinstance(orjson.loads(guarded.post(path).body)["error"], str)
    assert orjson.loads(guarded.post("/predict").body)["error"]["code"] == "UNAUTHENTICATED"


def methods(channel: grpc.Channel, key: str) -> list[str]:
    """The path of every method that reflection tells of and the server offers."""
    request = message_class(f"{REFLECTION.rpartition('.')[0]}.ServerReflectionRequest")
    response = message_class(f"{REFLECTION.rpartition('.')[0]}.ServerReflectionResponse")
    call = channel.stream_stream(
        f"/{REFLECTION}/ServerReflectionInfo",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=response.FromString,
    )

    def ask(**fields: str) -> object:
        (answer,) = call(iter([request(**fields)]), metadata=[("x-api-key", key)], timeout=TIMEOUT_S)
        return answer

    found = []
    for service in ask(list_services="").list_services_response.service:  # type: ignore[attr-defined] # made at run time
        answer = ask(file_containing_symbol=service.name)
        files = answer.file_descriptor_response.file_descriptor_proto  # type: ignore[attr-defined] # made at run time
        for file in map(descriptor_pb2.FileDescriptorProto.FromString, files):
            for described in file.service:
                if f"{file.package}.{described.name}" == service.name:
                    found += [f"/{service.name}/{method.name}" for method in described.method]
    return found


def outcome(channel: grpc.Channel, path: str, *metadata: tuple[str, str]) -> str:
    """The code that an empty message gets."""
    call = channel.stream_stream(path)
    try:
        for _ in call(iter([b""]), metadata=metadata, timeout=TIMEOUT_S):
            return "OK"
    except grpc.RpcError as error:
        return str(error.code().name)
    return "OK"


def test_every_grpc_method_asks_for_a_credential(channel: grpc.Channel, keys: Keys) -> None:
    """UNAUTHENTICATED without a good one, PERMISSION_DENIED with one that is too narrow; admin's is let in."""
    paths = methods(channel, keys.by_scope[Scope.PREDICT])
    assert len(paths) >= 20
    assert set(paths) >= OPEN_METHODS
    narrow, admin = keys.by_scope[Scope.METRICS], keys.by_scope[Scope.ADMIN]
    for path in paths:
        bare = outcome(channel, path)
        if path in OPEN_METHODS:
            assert bare not in ("UNAUTHENTICATED", "PERMISSION_DENIED"), path
            continue
        assert bare == "UNAUTHENTICATED", path
        for bad in keys.bad:
            assert outcome(channel, path, ("authorization", f"Bearer {bad}".strip())) == "UNAUTHENTICATED", path
            assert outcome(channel, path, ("x-api-key", bad)) == "UNAUTHENTICATED", path
        assert outcome(channel, path, ("x-api-key", narrow)) == "PERMISSION_DENIED", path
        assert outcome(channel, path, ("authorization", f"Bearer {admin}")) not in (
            "UNAUTHENTICATED",
            "PERMISSION_DENIED",
        ), path
        is_admin = path.endswith(("Load", "Unload", "HandleReloadConfigRequest"))
        predict = outcome(channel, path, ("x-api-key", keys.by_scope[Scope.PREDICT]))
        assert (predict == "PERMISSION_DENIED") == is_admin, path


def test_every_page_of_the_management_port_asks_for_a_credential(keys: Keys) -> None:
    """But for the probes. The pages are those that it names itself, and some that it does not have."""
    management = Management(cast("Supervisor", None), Instruments(), {}, doorkeeper=keys.doorkeeper)
    pages = Client(cast("HttpApp", management))
    named = pages.request("GET", "/nowhere", x_api_key=keys.by_scope[Scope.METRICS])
    assert named.status == 404
    paths = named.json()["error"]["hint"].removeprefix("try ").split(", ")
    assert {"/metrics", "/workers", "/quality/MODEL", "/health/ready"} <= set(paths)
    for path in (*paths, "/", "/console/", "/console/login", "/metrics/", "//metrics", "/health/", "/health/live/x"):
        if path in OPEN_PAGES:
            continue
        for method in ("GET", "POST", "HEAD", "DELETE"):
            bare = [pages.request(method, path, authorization=f"Bearer {bad}".strip()) for bad in keys.bad]
            bare += [pages.request(method, path, x_api_key=bad) for bad in keys.bad]
            assert {answer.status for answer in bare} == {401}, path
            assert {answer.headers["www-authenticate"] for answer in bare} == {"Bearer"}
            for scope in (Scope.PREDICT, Scope.FEEDBACK):
                assert pages.request(method, path, x_api_key=keys.by_scope[scope]).status == 403, path


def test_every_protocol_tells_whose_a_request_is(keys: Keys) -> None:
    """So that one caller's requests keep nobody else's out; where nobody is asked for a credential, nobody is."""
    key = keys.by_scope[Scope.PREDICT]
    name = f"predict ({key.split('_')[1]})"
    asked: tuple[tuple[str, dict[str, object]], ...] = (
        ("/predict?model=half", {"instances": [[1.0]]}),
        ("/v1/models/half:predict", {"instances": [[1.0]]}),
        ("/v1/models/half:classify", {"examples": [{"x": 1.0}]}),
        ("/v2/models/half/infer", {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [1.0]}]}),
    )
    for doorkeeper, expected in ((keys.doorkeeper, name), (None, None)):
        catalogue = FakeCatalogue()
        for path, body in asked:
            predictor = FakePredictor(catalogue)
            predictor.tenant = "nobody said"
            answer = Client(build_app(catalogue, predictor, doorkeeper=doorkeeper)).post(path, body, x_api_key=key)
            assert (path, answer.status, predictor.tenant) == (path, 200, expected), answer.body


def test_every_grpc_method_tells_whose_a_request_is(keys: Keys) -> None:
    """Streams as well."""
    key = keys.by_scope[Scope.PREDICT]
    running = Running(doorkeeper=keys.doorkeeper)
    half = np.ones((1, 1), np.float32)
    classify = message_class("tensorflow.serving.ClassificationRequest")
    spec = {"name": "half"}
    example = {"example_list": {"examples": [{"features": {"feature": {"x": {"float_list": {"value": [1.0]}}}}}]}}
    try:
        with grpc.insecure_channel(running.address) as channel:
            for path, message in (
                ("/tensorflow.serving.PredictionService/Predict", predict_request("half", x=half)),
                ("/tensorflow.serving.PredictionService/Classify", classify(model_spec=spec, input=example)),
                ("/inference.GRPCInferenceService/ModelInfer", infer_request("half", x=half)),
                ("/inference.GRPCInferenceService/ModelStreamInfer", infer_request("half", x=half)),
            ):
                running.predictor.tenant = None
                call = channel.stream_stream(path)
                list(call(iter([message.SerializeToString()]), metadata=[("x-api-key", key)], timeout=TIMEOUT_S))
                assert running.predictor.tenant == f"predict ({key.split('_')[1]})", path
    finally:
        running.stop()
