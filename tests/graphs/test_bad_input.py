"""What makes no sense as a graph is refused before anything is published, and says why."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper
from tests.graphs.models import FLOAT, publish_embedder, publish_model, publish_referee, publish_tagger, tensor

from fairlead.app.graphs import publish_graph
from fairlead.cli.main import main
from fairlead.config import Settings
from fairlead.errors import Code, FairleadError
from fairlead.servable.graph.spec import GraphSpec
from fairlead.store.store import Store
from fairlead.store.writable_store import WritableStore
from fairlead.testing import publish_digit

TWO = [{"version": "digits@1"}, {"version": "digits@2"}]


def graph(kind: str, *members: dict[str, Any] | str, **fields: Any) -> dict[str, Any]:
    """A graph as a file says it."""
    return {"kind": kind, "members": [{"version": one} if isinstance(one, str) else one for one in members]} | fields


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ([], "is not a graph"),
        ({"kind": "average"}, "has a list of members"),
        (graph("average"), "has 2 to 16 members, not 0"),
        (graph("average", "digits@1"), "has 2 to 16 members, not 1"),
        (graph("vote", *[f"digits@{n}" for n in range(1, 18)]), "not 17"),
        (graph("median", "a@1", "b@1"), "'median' is no kind of graph: average, vote, stack, chain"),
        (graph("average", "digits", "digits@2"), "'digits' is not MODEL@VERSION"),
        (graph("average", "digits@1", "../x@2"), "is not a model name"),
        (graph("average", "digits@1", "digits@1"), "digits@1 is there twice"),
        (graph("average", "a@1", {"version": "b@1", "wait": 3}), "a member has no 'wait'"),
        (graph("average", "a@1", {"version": "b@1", "deadline_ms": 0}), "b@1 has a deadline of 0 ms"),
        (graph("average", "a@1", {"version": "b@1", "deadline_ms": 1e9}), "at most 60000"),
        (graph("average", "a@1", {"version": "b@1", "deadline_ms": "20"}), "deadline_ms is '20': it is a number"),
        (graph("average", "a@1", {"version": "b@1", "weight": -1}), "b@1 has the weight -1"),
        (graph("average", "a@1", {"version": "b@1", "weight": float("nan")}), "b@1 has the weight nan"),
        (graph("average", "a@1", {"version": "b@1", "weight": 10**400}), "b@1 has the weight 1e+12"),
        (graph("average", "a@1", {"version": "b@1", "takes": {"x": "y"}}), "takes is for a chain"),
        (graph("chain", "a@1", {"version": "b@1", "takes": ["y"]}), "it names an output for each input"),
        (graph("chain", "a@1", {"version": "b@1", "weight": 2}), "the members of a chain have no weights"),
        (graph("average", *TWO, quorum=3), "the quorum is 3 of 2 members"),
        (graph("average", *TWO, quorum=0), "the quorum is 0 of 2 members"),
        (graph("average", *TWO, quorum=1.5), "the quorum is 1.5: it is a whole number"),
        (graph("chain", *TWO, quorum=1), "a chain needs all its 2 members"),
        (graph("average", *TWO, agreement=0.5), "nothing else has one"),
        (graph("vote", *TWO, agreement=1.5), "is a share from 0 to 1"),
        (graph("stack", *TWO), "a graph of the kind stack has a final version"),
        (graph("vote", *TWO, final={"version": "c@1"}), "a graph of the kind vote has no final version"),
        (graph("stack", *TWO, final={"version": "digits@1"}), "digits@1 is there twice"),
        (graph("average", *TWO, fail="NOT_FOUND"), "fails with UNAVAILABLE or DEADLINE_EXCEEDED, not 'NOT_FOUND'"),
        (graph("average", *TWO, retries=3), "a graph has no 'retries'"),
    ],
)
def test_a_graph_that_makes_no_sense(given: Any, reason: str) -> None:
    """Refused as it is read, with the offending value."""
    with pytest.raises(FairleadError) as caught:
        GraphSpec.from_json(given)

    assert caught.value.code is Code.INVALID_ARGUMENT
    assert reason in caught.value.message


def test_the_pages_file_is_a_graph() -> None:
    """As it stands there."""
    page = (Path(__file__).parents[2] / "docs" / "graphs.md").read_text()
    (shown,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    spec = GraphSpec.from_json(json.loads(shown))

    assert [str(named.id) for named in spec.versions] == ["embedder@4", "tagger@2", "keywords@1"]
    assert GraphSpec.from_json(spec.to_json()) == spec


@pytest.fixture(scope="module")
def unfit(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A store with digits, and models that do not fit them, each in its own way."""
    folder = tmp_path_factory.mktemp("unfit")
    settings = Settings(home=folder / "home", store=folder / "store")
    store = WritableStore(folder / "store", now=lambda: datetime.now(UTC), who="tester")
    for _ in range(3):
        publish_digit(store, "digits", 3)
    publish_graph(settings, "both", GraphSpec.from_json(graph("average", *TWO)))
    publish_embedder(store)
    publish_tagger(store)
    publish_referee(store)
    publish_referee(store, width=30)
    sample = {"image": np.zeros((1, 28, 28, 1), np.float32)}
    flat = [helper.make_node("Flatten", ["image"], ["probs"], axis=1)]
    publish_model(
        store,
        "pixels",
        flat,
        takes=tensor("image", FLOAT, "n", 28, 28, 1),
        gives=tensor("probs", FLOAT, "n", 784),
        sample=sample,
    )
    for name, first in (("members", "n"), ("single", 1)):
        output = "members" if name == "members" else "probs"
        publish_model(
            store,
            name,
            [helper.make_node("Flatten", ["image"], [output], axis=1)],
            takes=tensor("image", FLOAT, first, 28, 28, 1),
            gives=tensor(output, FLOAT, first, 784),
            sample=sample,
        )
    return settings


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (graph("average", "digits@1", "digits@9"), "digits has no version 9: it has 1, 2, 3"),
        (graph("average", "digits@1", "nobody@1"), "there is no model 'nobody'"),
        (graph("average", "digits@1", "both@1"), "both@1 is a graph itself"),
        (graph("average", "digits@1", "tagger@1"), "tagger@1 has the inputs features float32[-1, 1], and digits@1"),
        (graph("average", "digits@1", "pixels@1"), "pixels@1 has the outputs probs float32[-1, 784], and digits@1"),
        (graph("average", "referee@1", "referee@2"), "referee@2 has the inputs both float32[-1, 30]"),
        (graph("average", "digits@1", "members@1"), "members@1 has an output 'members'"),
        (graph("average", "digits@1", "single@1"), "single@1 has the tensor 'image' without an axis for rows"),
        (
            graph("stack", *TWO, final={"version": "tagger@1"}),
            "tagger@1 takes features float32[-1, 1], and its members",
        ),
        (graph("stack", *TWO, final={"version": "referee@2"}), "its members give 20 numbers a row"),
        (graph("chain", "embedder@1", "tagger@1"), "from an output 'features', and embedder@1 gives embedding"),
        (
            graph("chain", "embedder@1", {"version": "tagger@1", "takes": {"x": "embedding"}}),
            "tagger@1 has no input 'x'",
        ),
        (
            graph("chain", "digits@1", {"version": "tagger@1", "takes": {"features": "probs"}}),
            "tagger@1 takes features float32[-1, 1], and digits@1 gives probs float32[-1, 10]",
        ),
        (graph("average", *TWO, fallback={"version": "tagger@1"}), "tagger@1 cannot stand in: it takes features"),
    ],
)
def test_versions_that_do_not_fit(unfit: Settings, given: Any, reason: str) -> None:
    """Refused with the version's name, and nothing is published."""
    with pytest.raises(FairleadError) as caught:
        publish_graph(unfit, "new", GraphSpec.from_json(given))

    assert reason in caught.value.message
    assert "new" not in Store(unfit.store_path).models()


def test_other_classes_are_no_average(settings: Settings, store: WritableStore) -> None:
    """The same shape under other names is another question."""
    for labels in (("ham", "spam"), ("spam", "ham")):
        publish_model(
            store,
            "pair",
            [helper.make_node("Softmax", ["x"], ["probs"], axis=1)],
            takes=tensor("x", FLOAT, "n", 2),
            gives=tensor("probs", FLOAT, "n", 2),
            sample={"x": np.ones((1, 2), np.float32)},
            labels=labels,
        )
    with pytest.raises(FairleadError, match="pair@2 has the classes spam, ham, and pair@1 ham, spam"):
        publish_graph(settings, "new", GraphSpec.from_json(graph("vote", "pair@1", "pair@2")))


def test_a_graph_cannot_follow_a_model_whose_callers_know_no_members(settings: Settings, store: WritableStore) -> None:
    """The gate says no, and what serves goes on serving."""
    done = publish_graph(settings, "digits", GraphSpec.from_json(graph("average", *TWO)))

    assert done.version is None
    assert [check.name for check in done.report.failures] == ["signature"]
    assert store.versions("digits") == (1, 2, 3)


def command(settings: Settings, *arguments: str) -> int:
    """The exit status of `fairlead graph`."""
    return main(["graph", *arguments, "--home", str(settings.home), "--store", str(settings.store)])


def test_the_command_publishes_what_its_options_say(
    settings: Settings, store: WritableStore, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """And what a file says; the first of a name serves, the second waits."""
    options = ("--weights", "1", "2", "--deadline-ms", "30", "--quorum", "1", "--otherwise", "digits@3")
    first = command(settings, "both", "--average", "digits@1", "digits@2", *options)
    path = tmp_path / "graph.json"
    path.write_text(json.dumps(graph("vote", *TWO, "digits@3", agreement=0.6)))
    second = command(settings, "both", "--file", str(path))

    assert (first, second) == (0, 0)
    assert "published both@1; it is the first, and serves" in (said := capsys.readouterr().err)
    assert "published both@2; next: fairlead promote both 2" in said
    release = store.release("both")
    assert release is not None
    assert release.stable == 1
    body = json.loads((settings.home.parent / "store" / "both" / "1" / "manifest.json").read_text())
    assert (body["runtime"], body["graph"]["quorum"], body["graph"]["fallback"]["version"]) == ("graph", 1, "digits@3")
    assert [member["weight"] for member in body["graph"]["members"]] == [1, 2]
    assert sorted(path.name for path in (store.base("both") / "1").iterdir()) == ["golden.npz", "manifest.json"]


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        (("--average", "digits@1", "digits@2", "--weights", "1"), 2, "there are 1 weights for 2 members"),
        (("--average", "digits@1", "digits@7"), 2, "digits has no version 7"),
        (("--file", "/nowhere/graph.json"), 2, "the graph /nowhere/graph.json cannot be read"),
        (("--stack", "digits@1", "digits@2"), 2, "has a final version"),
        (("--average", "digits@1", "digits@2", "--otherwise", "tagger"), 2, "'tagger' is not MODEL@VERSION"),
    ],
)
def test_the_command_refuses(
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    status: int,
    reason: str,
) -> None:
    """With the reason and a status for scripts."""
    assert command(settings, "new", *arguments) == status
    assert reason in capsys.readouterr().err


def test_the_command_says_when_the_gate_says_no(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """By its exit status too."""
    assert command(settings, "digits", "--vote", "digits@1", "digits@2") == 3
    assert "nothing was published" in capsys.readouterr().err
