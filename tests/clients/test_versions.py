"""A caller chooses a version by URL, label and header, in the same way on every protocol, and is told what answered."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from http.client import HTTPConnection
from typing import Any

import grpc
import numpy as np
import pytest
from tests.cli.conftest import Server, starting
from tests.clients.tfserving import TIMEOUT_S, Stubs
from tests.clients.triton import GRPC, connected

from fairlead.store.release import Candidate, Mode
from fairlead.store.writable_store import WritableStore
from fairlead.testing import publish_digit

IMAGES = np.zeros((1, 28, 28, 1), np.float32)
ROWS = {"instances": IMAGES.tolist()}
TENSOR = {"name": "image", "datatype": "FP32", "shape": [1, 28, 28, 1], "data": IMAGES.ravel().tolist()}
CODES = {400: "INVALID_ARGUMENT", 404: "NOT_FOUND", 503: "UNAVAILABLE"}

Named = Mapping[str, Any]
"""What the protocol's own place for it names: a `version`, a `label`, or nothing."""
Said = tuple[Any, str]
"""The version that answered, twice told, or the name of the error's code; and the error's text."""
Door = Callable[[Server, Named, Mapping[str, str]], Said]


def over_http(server: Server, path: str, body: Any, headers: Mapping[str, str]) -> Said:
    """What the header of the answer says, and the body where it does."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT_S)
    try:
        connection.request("POST", path, json.dumps(body), dict(headers) | {"Content-Type": "application/json"})
        answer = connection.getresponse()
        read = json.loads(answer.read())
    finally:
        connection.close()
    if answer.status != 200:
        assert answer.getheader("X-Model-Version") is None
        return CODES[answer.status], json.dumps(read)
    version = int(answer.getheader("X-Model-Version") or 0)
    assert int(read.get("version", read.get("model_version", version))) == version
    return version, ""


def v2_rest(server: Server, named: Named, headers: Mapping[str, str]) -> Said:
    """`/v2/models/MODEL/versions/N/infer` and `/labels/LABEL/infer`."""
    place = "".join(f"/{what}s/{name}" for what, name in named.items())
    return over_http(server, f"/v2/models/digits{place}/infer", {"inputs": [TENSOR]}, headers)


def v2_grpc(server: Server, named: Named, headers: Mapping[str, str]) -> Said:
    """ModelInfer's `model_version`."""
    from tritonclient.utils import InferenceServerException

    metadata = {name.lower(): value for name, value in headers.items()}
    with connected(GRPC, server) as triton:
        try:
            result = triton.infer(
                "digits", {"image": IMAGES}, model_version=str(named.get("version", "")), headers=metadata
            )
        except InferenceServerException as error:
            return str(error.status()).removeprefix("StatusCode."), str(error.message())
        return int(triton.response(result)["model_version"]), ""


def tfserving_rest(server: Server, named: Named, headers: Mapping[str, str]) -> Said:
    """`/v1/models/MODEL/versions/N:predict` and `/labels/LABEL:predict`."""
    place = "".join(f"/{what}s/{name}" for what, name in named.items())
    return over_http(server, f"/v1/models/digits{place}:predict", ROWS, headers)


def tfserving_grpc(server: Server, named: Named, headers: Mapping[str, str]) -> Said:
    """Predict's ModelSpec."""
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        stubs = Stubs(channel)
        spec = {"version_label" if what == "label" else what: name for what, name in named.items()}
        request = stubs.request("predict_pb2.PredictRequest", "digits", **spec)
        request.inputs["image"].CopyFrom(stubs.tf.make_tensor_proto(IMAGES))
        metadata = [(name.lower(), value) for name, value in headers.items()]
        try:
            return stubs.predictions.Predict(request, TIMEOUT_S, metadata=metadata).model_spec.version.value, ""
        except grpc.RpcError as error:
            return error.code().name, error.details()


def simple(server: Server, named: Named, headers: Mapping[str, str]) -> Said:
    """`/predict?version=N` and `?label=LABEL`."""
    query = "".join(f"&{what}={name}" for what, name in named.items())
    return over_http(server, f"/predict?model=digits{query}", ROWS, headers)


DOORS: Mapping[str, Door] = {
    "v2 rest": v2_rest,
    "v2 grpc": v2_grpc,
    "tfserving rest": tfserving_rest,
    "tfserving grpc": tfserving_grpc,
    "simple": simple,
}
NO_LABELS = ("v2 grpc",)
V1, PREVIOUS = {"version": 1}, {"label": "previous"}
VERSION_1, LABEL = {"X-Model-Version": "1"}, {"X-Model-Label": "previous"}


CASES: list[tuple[Named, Mapping[str, str], object, tuple[str, ...]]] = [
    ({}, {}, 2, ()),
    (V1, {}, 1, ()),
    (PREVIOUS, {}, 1, ()),
    ({}, VERSION_1, 1, ()),
    ({}, {"X-Model-Version": "2"}, 2, ()),
    ({}, LABEL, 1, ()),
    ({}, {"X-Model-Label": "stable"}, 2, ()),
    ({}, {"X-Model-Label": "champion"}, 2, ()),
    (V1, VERSION_1, 1, ()),
    (PREVIOUS, LABEL, 1, ()),
    (V1, {"X-Model-Version": "2"}, "INVALID_ARGUMENT", ("version 1", "version 2")),
    (V1, LABEL, "INVALID_ARGUMENT", ("version 1", "label 'previous'")),
    (PREVIOUS, {"X-Model-Label": "stable"}, "INVALID_ARGUMENT", ("'previous'", "'stable'")),
    ({}, VERSION_1 | LABEL, "INVALID_ARGUMENT", ("both given",)),
    ({}, {"X-Model-Version": "newest"}, "INVALID_ARGUMENT", ("'newest'", "not a version")),
    ({}, {"X-Model-Version": "9"}, "NOT_FOUND", ("digits", "9")),
    ({}, {"X-Model-Label": "nope"}, "NOT_FOUND", ("nope", "previous, stable")),
]


@pytest.mark.parametrize(
    ("door", "named", "headers", "expected", "words"),
    [(door, *case) for case in CASES for door in DOORS if not ("label" in case[0] and door in NO_LABELS)],
)
def test_who_answers(
    server: Server, door: str, named: Named, headers: Mapping[str, str], expected: object, words: tuple[str, ...]
) -> None:
    """A header means what the URL or the message would; both may say the same, and what does not exist is told."""
    got, text = DOORS[door](server, named, headers)

    assert (got, [word for word in words if word not in text]) == (expected, [])


@pytest.fixture(scope="module")
def defaulted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of three models with two versions.

    Its digits mean what is labelled `tried`, its others what is labelled `gone`, which is none; what names none of
    the versions of its split goes to the candidate.
    """
    folder = tmp_path_factory.mktemp("defaulted")
    store = WritableStore(folder / "store", now=lambda: datetime.now(UTC), who="tester")
    for model in ("digits", "others", "split"):
        older, newer = (publish_digit(store, model, digit).manifest.id for digit in (3, 7))
        store.promote(older if model == "split" else newer, why="")
        if model == "digits":
            store.promote(older, why="", label="tried")
    store.try_candidate("split", Candidate(version=2, mode=Mode.CANARY, weight=1.0, salt="s"), why="")
    with starting(folder) as start:
        server = start(store.root, "--default-label", "gone,digits=tried,split=stable")
        server.wait_ready()
        yield server


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("headers", "expected"), [({}, 1), ({"X-Model-Label": "stable"}, 2), ({"X-Model-Version": "2"}, 2)]
)
def test_a_model_has_a_label_that_is_meant_by_default(
    defaulted: Server, door: str, headers: Mapping[str, str], expected: int
) -> None:
    """On every protocol, where a request names neither version nor label."""
    assert DOORS[door](defaulted, {}, headers) == (expected, "")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [({}, 2), (VERSION_1, 1), ({"X-Model-Version": "2"}, 2), ({"X-Model-Label": "stable"}, 1)],
)
def test_whoever_names_a_version_takes_no_part_in_a_trial(
    defaulted: Server, headers: Mapping[str, str], expected: int
) -> None:
    """As with URLs: not even the stable one's name is dealt out."""
    for path in ("/v1/models/split:predict", "/predict?model=split"):
        assert over_http(defaulted, path, ROWS, headers) == (expected, "")


def test_a_default_label_that_no_version_has_is_told(defaulted: Server) -> None:
    """To whoever names nothing, and on the page about health; other requests and models are answered."""
    code, text = over_http(defaulted, "/predict?model=others", ROWS, {})
    named = over_http(defaulted, "/predict?model=others&label=stable", ROWS, {})
    health = defaulted.call("GET", "/health/ready")

    assert (code, "'gone'" in text, named) == ("UNAVAILABLE", True, (2, ""))
    assert health[0] == 200
    assert "'gone'" in json.dumps(health[1])
