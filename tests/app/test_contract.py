"""The contract of every way in: whatever a model was made with, it is proven, served and replaced like any other.

`bringing` has the models, `asking` the protocols.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import pytest
from tests.app.asking import WAYS, Reply, Way, v1_grpc, v1_rows, v2_binary, v2_grpc, v2_json
from tests.app.bringing import KINDS, Case
from tests.cli.clients import wait_until
from tests.cli.conftest import Server, starting

from fairlead.app.releases import open_writable_store
from fairlead.config import Settings
from fairlead.database.engine import open_engine
from fairlead.monitoring.prediction_log import PredictionLog
from fairlead.servable.golden import GOLDEN_FILE, Golden
from fairlead.servable.identity import ServableId
from fairlead.servable.manifest import Manifest
from fairlead.servable.signature import Tensors
from fairlead.store.release import Candidate, Mode
from fairlead.transport.v2.datatype import DATATYPES

Brought = tuple[str, Case]
PATIENCE_S = 120.0
WORDS = "sample"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home for all of them."""
    return Settings(home=tmp_path_factory.mktemp("brought") / "home")


@pytest.fixture(scope="module")
def cases() -> dict[str, Case]:
    """What was published so far."""
    return {}


@pytest.fixture(scope="module")
def server(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server of all of them, which takes in what is published while it runs."""
    settings.store_path.mkdir(parents=True)
    with starting(tmp_path_factory.mktemp("server")) as start:
        yield start(settings.store_path, "--workers", "1", "--python-models", "on", "--home", str(settings.home))


@pytest.fixture(params=KINDS)
def brought(request: pytest.FixtureRequest, settings: Settings, cases: dict[str, Case], server: Server) -> Brought:
    """Each of them, published once, and up."""
    name = str(request.param)
    if name not in cases:
        cases[name] = KINDS[name](settings)
        wait_until(lambda: server.call("GET", f"/v2/models/{name}/ready")[0] == 200, PATIENCE_S)
    return name, cases[name]


def agrees(reply: Reply, case: Case) -> None:
    """Raise unless it is what the original says."""
    assert reply.code == "OK", reply.said
    got = np.asarray(reply.values, np.float64)
    assert got.shape == case.answers.shape
    np.testing.assert_allclose(got, case.answers, rtol=1e-5, atol=1e-5)


def manifest_of(settings: Settings, name: str) -> Manifest:
    """Of its first version, every byte of which is as it was published."""
    return open_writable_store(settings).open(ServableId(name, 1)).manifest


@pytest.mark.parametrize("ask", WAYS, ids=lambda way: way.__name__)
def test_served_answers_are_the_originals(server: Server, brought: Brought, ask: Way) -> None:
    """To rows that it was not published with, in every protocol; each says which version answered."""
    name, case = brought
    reply = ask(server, name, case.inputs)

    agrees(reply, case)
    assert reply.version == "1"


def test_it_was_proven_before_it_was_published(settings: Settings, brought: Brought) -> None:
    """A gate has judged it, and golden rows with the original's answers are under the manifest's digests."""
    name, case = brought
    manifest = manifest_of(settings, name)
    golden = Golden.load(settings.store_path / name / "1" / GOLDEN_FILE)
    checks = {check["name"]: check["verdict"] for check in manifest.gate["checks"]}

    assert manifest.gate["verdict"] == "inconclusive"
    assert checks["first load"] == checks["signature"] == checks["batch axis"] == "passed"
    assert checks.get("export", "passed") == "passed"
    assert manifest.cost is not None
    assert manifest.lineage
    assert golden.rows
    assert golden.inputs.keys() == case.inputs.keys()
    directory = settings.store_path / name / "1"
    assert {*manifest.files} == {path.name for path in directory.iterdir()} - {"manifest.json"}


def test_its_signature_is_told(server: Server, settings: Settings, brought: Brought) -> None:
    """Names, types and shapes, with a free batch; in both protocols and in the manifest."""
    name, case = brought
    manifest = manifest_of(settings, name)
    specs = (*manifest.signature.inputs, *manifest.signature.outputs)
    _, v1 = server.call("GET", f"/v1/models/{name}/metadata")
    _, v2 = server.call("GET", f"/v2/models/{name}")
    (told,) = v1["metadata"]["signature_def"]["signature_def"].values()
    sizes = {
        key: [int(dim["size"]) for dim in tensor["tensor_shape"]["dim"]]
        for key, tensor in (told["inputs"] | told["outputs"]).items()
    }

    assert [spec.name for spec in manifest.signature.inputs] == list(case.inputs)
    for spec, array in zip(manifest.signature.inputs, case.inputs.values(), strict=True):
        assert array.dtype == spec.numpy_dtype
        assert spec.admits(array.shape)
    assert all(spec.shape[0] == -1 for spec in specs)
    assert sizes == {spec.name: list(spec.shape) for spec in specs}
    assert v2["inputs"] + v2["outputs"] == [
        {"name": spec.name, "datatype": DATATYPES[spec.dtype], "shape": list(spec.shape)} for spec in specs
    ]


def other_shape(inputs: Tensors) -> Tensors:
    """Rows with two axes more."""
    return {name: array[..., np.newaxis, np.newaxis] for name, array in inputs.items()}


def other_type(inputs: Tensors) -> Tensors:
    """Texts for numbers, and numbers for texts."""
    return {
        name: np.zeros(array.shape, np.float32) if array.dtype == object else np.full(array.shape, WORDS, object)
        for name, array in inputs.items()
    }


def other_name(inputs: Tensors) -> Tensors:
    """An input that nobody has asked for in place of another."""
    return {f"{name}_of_nobody": array for name, array in inputs.items()}


def no_rows(inputs: Tensors) -> Tensors:
    """Nothing."""
    return {name: array[:0] for name, array in inputs.items()}


BAD = (other_shape, other_type, other_name, no_rows)


@pytest.mark.parametrize("ask", WAYS, ids=lambda way: way.__name__)
def test_what_it_does_not_take_is_refused(server: Server, brought: Brought, ask: Way) -> None:
    """As the caller's mistake, with the reason; and it answers the next one."""
    name, case = brought
    for spoil in BAD:
        if spoil is other_name and len(case.inputs) == 1 and ask.__name__ in ("v1_rows", "simple"):
            continue  # the only input has no name there
        reply = ask(server, name, spoil(case.inputs))
        assert (reply.code, bool(reply.said)) == ("INVALID_ARGUMENT", True), (spoil, reply)
    agrees(ask(server, name, case.inputs), case)


@pytest.mark.parametrize("ask", [v1_rows, v1_grpc, v2_json, v2_binary, v2_grpc], ids=lambda way: way.__name__)
def test_a_model_that_is_not_there_is_not_found(server: Server, brought: Brought, ask: Way) -> None:
    """By another name."""
    name, case = brought

    assert ask(server, f"{name}-of-nobody", case.inputs).code == "NOT_FOUND"


def publish_again(settings: Settings, name: str) -> ServableId:
    """The same files as the next version."""
    store = open_writable_store(settings)
    manifest, directory = manifest_of(settings, name), settings.store_path / name / "1"

    def describe(number: int, digests: Mapping[str, str]) -> Manifest:
        return replace(manifest, version=number, files=digests)

    return store.publish(name, {file: directory / file for file in manifest.files}, describe).manifest.id


def test_a_second_version_is_tried_promoted_and_retired(server: Server, settings: Settings, brought: Brought) -> None:
    """A canary takes its share, a promotion all, and a rollback nothing is left of; no request fails meanwhile."""
    name, case = brought
    store = open_writable_store(settings)
    second = publish_again(settings, name)

    def answers() -> set[str]:
        """Who answers now."""
        time.sleep(0.1)  # leaves the processor to the version that loads
        replies = [v1_rows(server, name, case.inputs) for _ in range(12)]
        for reply in replies:
            agrees(reply, case)
        return {reply.version for reply in replies}

    half = Candidate(version=second.version, mode=Mode.CANARY, weight=0.5, salt="contract")
    store.try_candidate(name, half, why="a canary")
    wait_until(lambda: answers() == {"1", "2"}, PATIENCE_S)
    store.promote(second, why="it is as good")
    wait_until(lambda: answers() == {"2"}, PATIENCE_S)
    store.rollback(name, why="the first was as good")
    wait_until(lambda: answers() == {"1"}, PATIENCE_S)
    body = json.dumps({"instances": []}).encode()
    wait_until(lambda: server.call("POST", f"/v1/models/{name}/versions/2:predict", body)[0] == 404, PATIENCE_S)
    agrees(v1_rows(server, name, case.inputs), case)


def test_what_was_answered_is_counted_and_logged(server: Server, settings: Settings, brought: Brought) -> None:
    """By model and version; each row is written down."""
    name, case = brought
    agrees(v1_rows(server, name, case.inputs), case)
    _, text = server.page("/metrics", server.management_port)
    counted = [line for line in text.splitlines() if f'model="{name}"' in line and 'version="1"' in line]
    engine = open_engine(settings.database)
    try:
        log = PredictionLog(engine)
        wait_until(lambda: len(log.newest(name, version=1)) >= len(case.answers), PATIENCE_S)
        logged = log.newest(name, version=1)
    finally:
        engine.dispose()

    assert [line for line in counted if line.startswith("fairlead_batch_rows_count") and float(line.split()[-1]) > 0]
    assert {row.row.arm for row in logged} <= {"stable", "candidate"}
