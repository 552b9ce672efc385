"""Training runs in the console."""

from __future__ import annotations

from tests.cli.logged import Logged

from .conftest import Visitor
from .scene import publish_judged, record_run


def test_runs_come_with_their_curves(ann: Visitor, live: Logged) -> None:
    """The newest first, with the version that each made; training and validation in one picture."""
    run = record_run(live.root / "home", 0.95)
    publish_judged(live, 0.95, run)
    (told,) = ann.get("/api/training").json()["runs"]
    assert (told["run"], told["version"], told["status"], told["held_out"]) == (run, 2, "finished", {"accuracy": 0.95})
    one = ann.get(f"/api/training/{run}").json()
    assert [step for step, _ in one["curves"]["val_loss"]] == [1, 2, 3, 4, 5]
    text = ann.get(f"/training/{run}").text
    assert "accuracy. Latest: training: 0.95; validation: 0.945" in text
    assert "adam" in text
    assert f"/console/training/{run}" in ann.get("/training").text
    assert ann.get("/training/nothing").status_code == 404


def test_without_a_registry_it_says_what_to_do(ann: Visitor, live: Logged) -> None:
    """Looking makes none."""
    assert "fairlead train digits" in ann.get("/training").text
    assert not (live.root / "home" / "mlflow.db").exists()
