"""The registry adapter, against a real MLflow on SQLite."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from fairlead.errors import Code, FairleadError
from fairlead.training.registry import CHALLENGER, CHAMPION, Registry, RegistryRun


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the database and the artifacts: making the tables takes seconds, so the tests share them."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def registry(home: Path) -> Registry:
    """A registry on SQLite. Each test uses a model of its own."""
    return Registry(f"sqlite:///{home}/tracker/mlflow.db", home / "artifacts")


def registered(registry: Registry, model: str, *store_versions: int) -> RegistryRun:
    """A finished run with these store versions registered."""
    run = registry.start(model, "a run", {})
    for version in store_versions:
        registry.register(model, version, run.run_id, f"/store/{model}/{version}")
    run.close()
    return run


def test_run_is_kept_with_all_that_was_told(registry: Registry, home: Path) -> None:
    """Tags, params, metrics by step and the final status can be read back from the tracker."""
    run = registry.start("noted", "first", {"profile": "dev"})
    run.params({"batch": 128})
    run.metrics(1, {"loss": 0.5})
    run.metrics(2, {"loss": 0.25})
    run.tags({"store_version": "4"})
    run.close()

    kept = registry._client.get_run(run.run_id)
    assert kept.info.run_name == "first"
    assert kept.info.status == "FINISHED"
    assert kept.data.params == {"batch": "128"}
    assert kept.data.tags.items() >= {"profile": "dev", "store_version": "4"}.items()
    assert [(point.step, point.value) for point in registry._client.get_metric_history(run.run_id, "loss")] == [
        (1, 0.5),
        (2, 0.25),
    ]


def test_artifacts_go_below_the_artifact_root(registry: Registry, home: Path, tmp_path: Path) -> None:
    """Pictures, texts and files are kept under their names, below the root that was given."""
    (tmp_path / "manifest.json").write_text("{}")
    run = registry.start("pictured", "first", {})
    run.picture("confusion.png", b"\x89PNG")
    run.text("report.md", "# fine")
    run.file(tmp_path / "manifest.json")
    run.close()

    folder = home / "artifacts" / "pictured" / run.run_id / "artifacts"
    assert sorted(path.name for path in folder.iterdir()) == ["confusion.png", "manifest.json", "report.md"]
    assert (folder / "confusion.png").read_bytes() == b"\x89PNG"


def test_failed_run_is_marked(registry: Registry) -> None:
    """A run that was closed as failed says so."""
    run = registry.start("failing", "first", {})
    run.close("FAILED")

    assert registry._client.get_run(run.run_id).info.status == "FAILED"


def test_registered_version_stands_for_a_store_version(registry: Registry) -> None:
    """MLflow numbers by itself; the store version is kept beside, with the run that made it."""
    run = registered(registry, "numbered", 7, 9)

    versions = registry.versions("numbered")
    assert [(item.number, item.store_version, item.run_id) for item in versions] == [
        (1, 7, run.run_id),
        (2, 9, run.run_id),
    ]


def test_source_is_kept_as_it_was_given(registry: Registry) -> None:
    """Where the files are is a tag of the registered version, whatever MLflow itself makes of its source."""
    registered(registry, "placed", 7)

    assert registry._client.get_model_version("placed", "1").tags["store_source"] == "/store/placed/7"


@pytest.mark.parametrize(
    ("address", "source", "given"),
    [
        ("http://tracker", "/store/digits/7", "runs:/abc/"),
        ("https://tracker", "file:///store/digits/7", "runs:/abc/"),
        ("http://tracker", "s3://bucket/digits/7", "s3://bucket/digits/7"),
    ],
)
def test_server_is_given_no_path_of_ours(address: str, source: str, given: str) -> None:
    """A tracking server refuses a path that is not its own, so the run's artifacts stand in for it."""
    assert Registry(address)._admitted(source, "abc") == given


def test_registering_twice_changes_nothing(registry: Registry) -> None:
    """A repeated registration gives the first one's number."""
    run = registered(registry, "repeated", 7)

    assert registry.register("repeated", 7, run.run_id, "/elsewhere") == "1"
    assert len(registry.versions("repeated")) == 1


def test_alias_moves(registry: Registry) -> None:
    """An alias names one store version, and then another; two aliases are independent."""
    registered(registry, "moved", 3, 4)
    registry.set_alias("moved", CHAMPION, 3)
    registry.set_alias("moved", CHALLENGER, 4)
    assert (registry.alias("moved", CHAMPION), registry.alias("moved", CHALLENGER)) == (3, 4)

    registry.set_alias("moved", CHAMPION, 4)

    assert registry.alias("moved", CHAMPION) == 4
    assert [item.aliases for item in registry.versions("moved")] == [(), ("challenger", "champion")]


def test_absent_alias_is_none(registry: Registry) -> None:
    """An alias that nobody set, and any alias of an unknown model, name nothing."""
    registered(registry, "bare", 1)

    assert registry.alias("bare", CHAMPION) is None
    assert registry.alias("unheard-of", CHAMPION) is None
    assert registry.versions("unheard-of") == ()


def test_alias_needs_a_registered_version(registry: Registry) -> None:
    """An alias cannot name a store version that was never registered."""
    registered(registry, "short", 1)

    with pytest.raises(FairleadError, match="short@2 is not in the registry") as caught:
        registry.set_alias("short", CHAMPION, 2)

    assert caught.value.code == Code.NOT_FOUND


def test_second_connection_sees_the_first_ones_work(registry: Registry, home: Path) -> None:
    """What was registered is in the database, not in the object."""
    registered(registry, "shared", 5)
    registry.set_alias("shared", CHAMPION, 5)

    assert Registry(f"sqlite:///{home}/tracker/mlflow.db").alias("shared", CHAMPION) == 5


def test_tracker_that_is_away_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tracker that does not answer is UNAVAILABLE, so that a caller can carry on without it."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        away = Registry(f"http://127.0.0.1:{probe.getsockname()[1]}")
        with pytest.raises(FairleadError) as caught:
            away.start("digits", "first", {})
        with pytest.raises(FairleadError, match="'champion' of digits cannot be read"):
            away.alias("digits", CHAMPION)

    assert caught.value.code == Code.UNAVAILABLE


def test_unknown_kind_of_tracker_is_unavailable_without_its_password() -> None:
    """An address that MLflow cannot open is refused, and a password in it is not repeated by us."""
    with pytest.raises(FairleadError) as caught:
        Registry("nothing+at+all://user:secret@host/db")

    assert caught.value.code == Code.UNAVAILABLE
    assert "at nothing+at+all://host/db cannot be opened" in caught.value.message
