"""One pass: everything that may go wrong with a retrain, and the champion that goes on serving."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from fairlead.controller.pipeline import Outcome
from fairlead.errors import Code, FairleadError
from fairlead.gate.verdict import Verdict
from fairlead.servable.identity import ServableId
from fairlead.training.dataset import Dataset
from fairlead.training.registry import Registry
from fairlead.training.run import PROFILES

from .conftest import Bench, Centroids

DEV = PROFILES["dev"]


def shuffled(dataset: Dataset) -> Dataset:
    """The same rows, each with a label that belongs to another."""
    labels = np.random.default_rng(1).permutation(dataset.train.labels)
    return replace(dataset, train=replace(dataset.train, labels=labels))


def emptied(dataset: Dataset) -> Dataset:
    """Nothing to train on."""
    return replace(dataset, train=dataset.train.take(np.zeros(len(dataset.train), np.bool_)))


def not_held_out(dataset: Dataset) -> Dataset:
    """Nothing to judge on."""
    return replace(dataset, held_out=dataset.held_out.take(np.zeros(len(dataset.held_out), np.bool_)))


def one_class(dataset: Dataset) -> Dataset:
    """Sevens alone."""
    return replace(dataset, train=dataset.train.take(dataset.train.labels == 7))


def leaking(dataset: Dataset) -> Dataset:
    """Ten held-out rows among the training rows."""
    inputs = np.concatenate([dataset.train.inputs, dataset.held_out.inputs[:10]])
    labels = np.concatenate([dataset.train.labels, dataset.held_out.labels[:10]])
    return replace(dataset, train=replace(dataset.train, inputs=inputs, labels=labels))


def poisoned(dataset: Dataset) -> Dataset:
    """One number that is none."""
    inputs = dataset.train.inputs.copy()
    inputs[0, 0, 0, 0] = np.nan
    return replace(dataset, train=replace(dataset.train, inputs=inputs))


def failing(outcome: Outcome) -> list[str]:
    """The names of the checks that did not pass."""
    return [check.name for check in outcome.report.checks if check.verdict is not Verdict.PASSED]


def test_the_first_model_that_passes_is_published_and_serves(bench: Bench) -> None:
    """A version whole to the byte, its release, its record and its aliases."""
    outcome = bench.pipeline().run(DEV, seed=3)

    assert outcome.report.verdict is Verdict.PASSED
    assert outcome.version is not None
    assert outcome.release is not None
    assert outcome.release.stable == 1
    manifest = bench.store.open(ServableId("digits", 1)).manifest
    assert set(manifest.files) == {"model.onnx", "golden.npz", "reference.json"}
    assert manifest.gate["verdict"] == "passed"
    assert manifest.metrics["accuracy"] > 0.85
    assert manifest.lineage["seed"] == 3
    assert manifest.lineage["params"] == {"kind": "centroids"}
    assert len(manifest.lineage["data"]["sha256"]) == 64
    assert manifest.cost is not None
    assert manifest.cost.peak_memory_bytes > 0
    assert bench.registry.alias("digits", "champion") == 1
    assert bench.registry.alias("digits", "challenger") is None
    assert bench.registry.versions("digits")[0].run_id == manifest.lineage["run_id"]
    assert list((bench.home / "work").iterdir()) == []


def test_a_second_model_that_passes_waits_as_challenger(bench: Bench) -> None:
    """It is published but not served until somebody promotes it."""
    bench.pipeline().run(DEV, seed=0)
    outcome = bench.pipeline(Centroids(sharpness=0.11)).run(DEV, seed=1)

    assert outcome.version is not None
    assert outcome.version.manifest.version == 2
    assert outcome.release is not None
    assert outcome.release.stable == 1
    assert bench.registry.alias("digits", "champion") == 1
    assert bench.registry.alias("digits", "challenger") == 2


@pytest.mark.parametrize(
    ("spoil", "check", "reason"),
    [
        (shuffled, "accuracy", "points below"),
        (emptied, "training rows", "no training rows"),
        (not_held_out, "held-out rows", "no held-out rows"),
        (one_class, "training classes", "'0'"),
        (leaking, "overlap", "10 of"),
        (poisoned, "finite values", "1"),
    ],
)
def test_a_spoilt_retrain_publishes_nothing_and_says_why(
    bench: Bench, spoil: Callable[[Dataset], Dataset], check: str, reason: str
) -> None:
    """The gate names the check that failed; store, release and champion are as they were."""
    bench.pipeline().run(DEV, seed=0)
    before = bench.store.history("digits"), bench.store.versions("digits")

    outcome = bench.pipeline(Centroids(spoil=spoil)).run(DEV, seed=0)

    assert outcome.version is None
    assert check in failing(outcome)
    failed = next(c for c in outcome.report.checks if c.name == check)
    assert reason in failed.detail
    assert (bench.store.history("digits"), bench.store.versions("digits")) == before
    assert bench.registry.alias("digits", "champion") == 1
    assert bench.registry.alias("digits", "challenger") is None
    assert list((bench.home / "work").iterdir()) == []


def test_an_export_that_differs_from_the_training_is_refused(bench: Bench) -> None:
    """A ten-thousandth in one class's weights is seen."""
    outcome = bench.pipeline(Centroids(skew=1e-3)).run(DEV, seed=0)

    assert failing(outcome) == ["export"]
    assert bench.store.versions("digits") == ()
    assert outcome.release is None


def test_a_candidate_worse_than_the_champion_is_refused(bench: Bench) -> None:
    """On the same held-out rows, row by row."""

    def half_wrong(dataset: Dataset) -> Dataset:
        labels = dataset.train.labels.copy()
        labels[labels == 1] = np.where(np.arange((labels == 1).sum()) % 2, 8, 1)
        return replace(dataset, train=replace(dataset.train, labels=labels))

    lenient = replace(bench.pipeline().thresholds, min_accuracy=0.5, min_class_recall=0.1)
    bench.pipeline().run(DEV, seed=0)
    outcome = bench.pipeline(Centroids(spoil=half_wrong), thresholds=lenient).run(DEV, seed=0)

    assert failing(outcome) == ["champion"]
    assert "digits@1" in next(c.detail for c in outcome.report.checks if c.name == "champion")


def test_other_classes_than_the_champions_are_refused(bench: Bench) -> None:
    """The same numbers under other names."""
    bench.pipeline().run(DEV, seed=0)

    outcome = bench.pipeline(Centroids(labels=tuple("9876543210"))).run(DEV, seed=0)

    assert "signature" in failing(outcome)
    assert bench.store.versions("digits") == (1,)


def test_a_refused_run_is_on_record_with_its_report(bench: Bench) -> None:
    """The registry keeps what failed and why."""
    bench.pipeline(Centroids(spoil=shuffled)).run(DEV, seed=0)

    client = bench.registry._client
    experiment = client.get_experiment_by_name("digits")
    run = client.search_runs([experiment.experiment_id])[0]

    assert run.info.status == "FAILED"
    assert {artifact.path for artifact in client.list_artifacts(run.info.run_id)} >= {
        "gate.txt",
        "confusion_matrix.png",
    }
    assert run.data.metrics["held_out_accuracy"] < 0.5


def test_a_registry_that_dies_costs_the_record_and_not_the_model(bench: Bench) -> None:
    """It is said once, the version is published, and the next command that reaches the registry mends it."""

    class Dying(Registry):
        is_dead = False

        def start(self, *args: object, **kwargs: object) -> object:  # type: ignore[override] # only to hang a trap
            run = super().start(*args, **kwargs)  # type: ignore[arg-type]
            self.is_dead = True

            def refuse(*_: object, **__: object) -> None:
                raise FairleadError(Code.UNAVAILABLE, "the registry is down")

            for name in ("params", "metrics", "picture", "text", "tags", "close"):
                setattr(run, name, refuse)
            return run

        def versions(self, model: str) -> object:  # type: ignore[override] # only to hang a trap
            if self.is_dead:
                raise FairleadError(Code.UNAVAILABLE, "the registry is down")
            return super().versions(model)

    dying = Dying(f"sqlite:///{bench.home / 'mlflow.db'}", bench.home / "artifacts")

    outcome = bench.pipeline(registry=dying).run(DEV, seed=0)

    assert outcome.version is not None
    assert [line for line in bench.said if "not recorded any further" in line] == [
        "the run is not recorded any further: the registry is down"
    ]
    assert any("the registry is behind the store" in line for line in bench.said)
    assert bench.registry.alias("digits", "champion") is None
    bench.pipeline(Centroids(sharpness=0.11)).run(DEV, seed=1)
    assert bench.registry.alias("digits", "champion") == 1
    assert bench.registry.alias("digits", "challenger") == 2


def test_without_a_registry_everything_else_works(bench: Bench) -> None:
    """The store is enough."""
    outcome = bench.pipeline(registry=None).run(DEV, seed=0)

    assert outcome.version is not None
    assert outcome.version.manifest.lineage["run_id"] == ""


def test_a_recipe_that_fails_leaves_nothing_behind(bench: Bench) -> None:
    """The run is on record as failed, the work in progress is gone."""

    class Failing(Centroids):
        def export(self, model: object, path: object) -> None:
            raise FairleadError(Code.FAILED_PRECONDITION, "no exporter today")

    with pytest.raises(FairleadError, match="no exporter today"):
        bench.pipeline(Failing()).run(DEV, seed=0)

    assert list((bench.home / "work").iterdir()) == []
    assert bench.store.versions("digits") == ()
    client = bench.registry._client
    runs = client.search_runs([client.get_experiment_by_name("digits").experiment_id])
    assert [run.info.status for run in runs] == ["FAILED"]
