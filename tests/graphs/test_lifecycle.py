"""A graph comes up with what it was published with, shares it, and keeps it from being deleted."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairlead.app.cluster import Package
from fairlead.app.models import open_loader
from fairlead.cli.main import main
from fairlead.config import Settings
from fairlead.controller.observing import _agree
from fairlead.controller.version_retention import delete_versions
from fairlead.errors import Code, FairleadError
from fairlead.monitoring.prediction import PredictionRow
from fairlead.servable.golden import GOLDEN_FILE
from fairlead.servable.identity import ServableId
from fairlead.store.store import MANIFEST_FILE
from fairlead.store.writable_store import WritableStore

from .conftest import BODY, Faults, Plane, Publish

BOTH = ServableId("both", 1)


def refused(settings: Settings) -> FairleadError:
    """Why `both@1` cannot be loaded."""
    with pytest.raises(FairleadError) as caught:
        open_loader(settings).load(BOTH)
    return caught.value


def test_another_version_under_a_members_number_is_not_loaded(
    settings: Settings, store: WritableStore, publish: Publish
) -> None:
    """Though it is whole in itself: the graph was made of the one before."""
    publish("both", "average", "digits@1", "digits@2")
    other = store.manifest(ServableId("digits", 3))
    shutil.rmtree(store.base("digits") / "2")
    shutil.copytree(store.base("digits") / "3", store.base("digits") / "2")
    (store.base("digits") / "2" / MANIFEST_FILE).write_bytes(replace(other, version=2).encode())

    assert store.open(ServableId("digits", 2))
    error = refused(settings)
    assert error.code is Code.DATA_LOSS
    assert error.message == "both@1 needs digits@2: digits@2 is not the version that the graph was made of"


def test_a_damaged_member_is_named(settings: Settings, store: WritableStore, publish: Publish) -> None:
    """And nothing of the graph stays loaded."""
    publish("both", "average", "digits@1", "digits@2")
    path = store.base("digits") / "2" / GOLDEN_FILE
    path.write_bytes(path.read_bytes()[:-1] + b"x")

    assert "both@1 needs digits@2: " in refused(settings).message


def test_verifying_a_graph_is_verifying_its_members(
    settings: Settings, store: WritableStore, publish: Publish, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each with its own line, or the reason."""
    publish("both", "average", "digits@1", "digits@2")
    whole = main(["verify", "both@1", "--store", str(store.root)])
    (store.base("digits") / "2" / GOLDEN_FILE).unlink()
    damaged = main(["verify", "both@1", "--store", str(store.root)])

    assert (whole, damaged) == (0, 1)
    said = capsys.readouterr()
    assert [line.split(":")[0] for line in said.out.splitlines()[:3]] == ["both@1", "digits@1", "digits@2"]
    assert "digits/2 holds" in said.err


def test_a_member_that_is_gone_is_named(settings: Settings, store: WritableStore, publish: Publish) -> None:
    """With the versions that there are."""
    publish("both", "average", "digits@1", "digits@2")
    shutil.rmtree(store.base("digits") / "2")

    assert "both@1 needs digits@2: digits has no version 2" in refused(settings).message


def test_a_graph_that_was_changed_is_no_manifest(settings: Settings, store: WritableStore, publish: Publish) -> None:
    """It is under the manifest's seal."""
    publish("both", "average", "digits@1", "digits@2", quorum=2)
    path = store.base("both") / "1" / MANIFEST_FILE
    body = json.loads(path.read_text())
    body["graph"]["quorum"] = 1
    path.write_text(json.dumps(body))

    assert "it was changed after it was written" in refused(settings).message


class Unsigned:
    """Keys that have signed every version but one."""

    def __init__(self, unsigned: Path) -> None:
        self._unsigned = unsigned

    def check(self, directory: Path) -> None:
        if directory == self._unsigned:
            raise FairleadError(Code.FAILED_PRECONDITION, "it is not signed")


def test_a_member_needs_a_signature_as_any_version(
    settings: Settings, store: WritableStore, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signed graph vouches for no version that is not."""
    publish("both", "average", "digits@1", "digits@2")
    monkeypatch.setattr("fairlead.app.releases._trusted", lambda _: Unsigned(store.base("digits") / "2"))

    assert refused(settings).message == "both@1 needs digits@2: it is not signed"


def test_a_version_that_serves_and_is_a_member_is_in_memory_once(
    settings: Settings, store: WritableStore, publish: Publish
) -> None:
    """Until the last of those who hold it has let go."""
    publish("both", "average", "digits@1", "digits@2")
    loader = open_loader(settings)
    image = {"image": np.zeros((1, 28, 28, 1), np.float32)}
    single, graph = loader.load(ServableId("digits", 1)), loader.load(BOTH)
    again = loader.load(ServableId("digits", 1))

    assert again.model is single.model
    single.close()
    again.close()
    assert graph.answering("")[0].predict(image)["members"][0] == "digits@1,digits@2"
    graph.close()
    with pytest.raises(FairleadError, match="closed"):
        single.answering("")[0].predict(image)


def test_a_graph_goes_to_a_cluster_with_its_members(settings: Settings, store: WritableStore, publish: Publish) -> None:
    """Where a node has no store, it has what the graph needs."""
    publish("both", "average", "digits@1", "digits@2")
    package = Package.of(store, BOTH)
    with package.unpacked() as root:
        loaded = open_loader(replace(settings, store=root)).load(package.id)
    loaded.close()

    assert {path.rpartition("/")[0] for path in package.files} == {"both/1", "digits/1", "digits/2"}


def test_a_version_that_a_graph_is_made_of_is_not_deleted(store: WritableStore, publish: Publish) -> None:
    """Retention takes the one that nobody names."""
    publish("both", "average", "digits@1", "digits@2")
    store.promote(ServableId("digits", 2), why="")
    store.promote(ServableId("digits", 3), why="")
    store.promote(ServableId("digits", 3), why="", label="x")

    assert delete_versions(store, "digits", keep=1, rollback_targets=1) == ()
    shutil.rmtree(store.base("both"))
    assert delete_versions(store, "digits", keep=1, rollback_targets=1) == (1,)


def test_copies_agree_whoever_of_the_members_spoke() -> None:
    """In a shadow rollout two graphs are compared by their numbers."""

    def row(value: float, members: str) -> PredictionRow:
        outputs: dict[str, Any] = {"y": [value], "members": [members]}
        return PredictionRow(id="x", at_us=0, model="g", version=1, arm="stable", latency_us=1, outputs=outputs)

    assert _agree(row(1, "a@1"), row(1, "b@1"))
    assert not _agree(row(1, "a@1"), row(2, "a@1"))


def test_other_models_do_not_wait_behind_a_graph(
    settings: Settings, publish: Publish, faults: Faults, start_plane: Callable[..., Plane]
) -> None:
    """With one thread a server runs one batch of a version at once, and a graph that waits is no such run."""
    publish("both", "average", "digits@1", "digits@2", deadlines={"digits@2": 60_000}, quorum=1)
    plane = start_plane(replace(settings, threads=1))
    faults.by_version["digits@2"] = "hang"
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(plane.post, "/v1/models/both:predict", BODY)
        while not faults.asked:
            assert not waiting.done()
            time.sleep(0.001)
        others = [plane.post("/v1/models/digits:predict")[0] for _ in range(50)]
        is_waiting = not waiting.done()
        faults.over.set()

        assert others == [200] * 50
        assert is_waiting
        assert waiting.result(20)[0] == 200


def test_a_graph_is_tried_and_promoted_as_any_version(
    settings: Settings, store: WritableStore, publish: Publish, start_plane: Callable[..., Plane]
) -> None:
    """The second version of a graph's name waits until it is released."""
    publish("both", "average", "digits@1", "digits@2")
    publish("both", "average", "digits@1", "digits@3")
    plane = start_plane(settings)
    before = plane.post("/predict?model=both")[1]
    store.promote(ServableId("both", 2), why="")
    plane.wait_for("both", 2)
    after = plane.post("/predict?model=both")[1]

    assert (before["version"], before["predictions"][0]["members"]) == (1, "digits@1,digits@2")
    assert (after["version"], after["predictions"][0]["members"]) == (2, "digits@1,digits@3")
