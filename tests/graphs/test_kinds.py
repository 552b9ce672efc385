"""Stacks and chains, published and asked over the wire."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.graphs.models import publish_embedder, publish_referee, publish_tagger

from fairlead.app.batch import batch
from fairlead.batch.job import Job
from fairlead.config import Settings
from fairlead.store.writable_store import WritableStore

from .conftest import BODY, Faults, Plane, Publish

TAKES: list[dict[str, Any]] = [
    {"version": "embedder@1", "deadline_ms": 5000},
    {"version": "tagger@1", "deadline_ms": 5000, "takes": {"features": "embedding"}},
]


@pytest.fixture
def chain(store: WritableStore, publish: Publish) -> None:
    """`tickets`: text -> embedding -> classifier."""
    publish_embedder(store)
    publish_tagger(store)
    publish("tickets", "chain", members=TAKES)


@pytest.fixture
def stack(store: WritableStore, publish: Publish, settings: Settings) -> None:
    """`stacked`: what a referee makes of digits@1 and digits@3, for which digits@1 stands in."""
    publish_referee(store)
    final = {"version": "referee@1", "deadline_ms": 5000}
    publish("stacked", "stack", "digits@1", "digits@3", final=final, fallback={"version": "digits@1"})


@pytest.mark.usefixtures("chain")
def test_a_chain_feeds_each_members_outputs_to_the_next(start_plane: Callable[[], Plane]) -> None:
    """By the names that were declared, from a text to a class."""
    status, answer = start_plane().post("/predict?model=tickets", json.dumps({"instances": ["good", "bad"]}).encode())

    assert status == 200, answer
    assert [(row["label"], row["members"]) for row in answer["predictions"]] == [
        ("ham", "embedder@1,tagger@1"),
        ("spam", "embedder@1,tagger@1"),
    ]


@pytest.mark.usefixtures("chain")
def test_a_row_on_which_a_chain_breaks_fails_alone(start_plane: Callable[[], Plane]) -> None:
    """And the member that broke it is named."""
    plane = start_plane()
    ask = "/v1/models/tickets:predict"
    status, answer = plane.post(ask, json.dumps({"instances": ["so"]}).encode())

    assert status == 503
    assert answer["error"].startswith("tickets@1 has no answer: tagger@1 gave numbers that are not finite")
    assert plane.post(ask, json.dumps({"instances": ["good"]}).encode())[0] == 200


@pytest.mark.usefixtures("chain")
@pytest.mark.parametrize("fault", ["crash", "hang", "nan"])
@pytest.mark.parametrize("which", ["embedder@1", "tagger@1"])
def test_a_chain_needs_all_its_members(
    settings: Settings, faults: Faults, start_plane: Callable[[], Plane], fault: str, which: str, publish: Publish
) -> None:
    """Whichever of them is missing."""
    waits = [{**member, "deadline_ms": 20 if member["version"] == which else 5000} for member in TAKES]
    publish("brief", "chain", members=waits)
    plane = start_plane()
    faults.by_version[which] = fault
    status, answer = plane.post("/v1/models/brief:predict", json.dumps({"instances": ["good"]}).encode())

    assert status == 503
    assert which in answer["error"]


@pytest.mark.usefixtures("stack")
def test_a_stacks_final_version_is_given_what_all_members_said(
    faults: Faults, start_plane: Callable[[], Plane]
) -> None:
    """Side by side, in the order of the members; where one is missing the fallback answers."""
    plane = start_plane()
    status, answer = plane.post("/v1/models/stacked:predict", BODY)
    faults.by_version["digits@3"] = "crash"
    without = plane.post("/v1/models/stacked:predict", BODY)

    assert status == 200, answer
    (row,) = answer["predictions"]
    assert row["members"] == "digits@1,digits@3,referee@1"
    np.testing.assert_allclose([row["probs"][3], row["probs"][7]], [0.91 / 4 + 0.01 * 3 / 4, 0.01 / 4 + 0.91 * 3 / 4])
    assert without[1]["predictions"][0]["members"] == "digits@1"


@pytest.mark.usefixtures("chain")
@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_a_batch_says_who_spoke(settings: Settings, suffix: str) -> None:
    """In every format."""
    rows = settings.home.parent / "rows.jsonl"
    rows.write_text('{"text": "good"}\n{"text": "bad"}\n')
    output = settings.home.parent / "scored"
    _, counts = batch(settings, "tickets", None, Job(input=rows, output=output, format=suffix), lambda *_: None)
    written = (output / f"part-00000.{suffix}").read_bytes()

    assert counts.rows == 2
    assert written.count(b"embedder@1,tagger@1") >= 1
    assert b"members" in written
