"""The digits example from data to candidate: a short training on the bundled digits, and one on the real ones."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fairlead.servable.golden import Golden
from fairlead.servable.runtimes.onnx import open_model
from fairlead.servable.transform import Handwriting
from fairlead.training.recipe import Sources, find_recipe
from fairlead.training.run import Profile, Run
from fairlead.training.trainer import Candidate, train


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A candidate of one epoch, its run, and what the process wrote meanwhile."""

    candidate: Candidate
    run: Run
    written: str


def train_one_epoch(folder: Path, data_dir: Path | None) -> Trained:
    """Train the digits as a user would."""
    recipe: Any = find_recipe("digits")
    dataset = recipe.load(Sources(data_dir=data_dir, cache_dir=folder / "cache", say=lambda _: None))
    run = Run(seed=7, profile=Profile(name="tiny", epochs=1), log_dir=folder / "board", out=io.StringIO())
    with outputs_to(folder / "written.txt"):
        candidate = train(recipe, dataset, recipe.split(dataset, 7), run, folder / "work")
    return Trained(candidate=candidate, run=run, written=(folder / "written.txt").read_text())


@contextmanager
def outputs_to(path: Path) -> Iterator[None]:
    """Send the process's standard output and error to a file, C++ included."""
    kept = os.dup(1), os.dup(2)
    with path.open("w") as file:
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
        try:
            yield
        finally:
            for descriptor, original in zip((1, 2), kept, strict=True):
                os.dup2(original, descriptor)
                os.close(original)


def refuse(url: str, give_up_at: float) -> None:
    """There is no network."""
    raise OSError(url)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A training on the bundled digits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fairlead.training.download._open", refuse)
        return train_one_epoch(tmp_path_factory.mktemp("bundled"), None)


@pytest.fixture
def candidate(trained: Trained) -> Candidate:
    """Its candidate alone."""
    return trained.candidate


def test_signature_is_the_classic_one(candidate: Candidate) -> None:
    """The model takes "image" [-1, 28, 28, 1] and gives "probs" [-1, 10], both float32."""
    assert candidate.signature.to_json() == {
        "inputs": [{"name": "image", "dtype": "float32", "shape": [-1, 28, 28, 1]}],
        "outputs": [{"name": "probs", "dtype": "float32", "shape": [-1, 10]}],
    }
    assert candidate.labels == tuple("0123456789")


def test_export_agrees_with_keras(candidate: Candidate) -> None:
    """On every held-out row the exported probabilities are Keras's within 1e-5, and sum to one."""
    assert np.abs(candidate.native - candidate.exported).max() <= 1e-5
    assert np.allclose(candidate.exported.sum(axis=1), 1.0, atol=1e-5)


def test_one_epoch_learns(candidate: Candidate) -> None:
    """Even one epoch over the bundled digits is right on nine of ten held-out rows."""
    assert candidate.metrics["accuracy"] >= 0.9
    assert candidate.metrics["held_out_rows"] >= 500


def test_golden_rows_show_different_digits(candidate: Candidate) -> None:
    """Eight digits of eight classes, each with Keras's own answer."""
    golden = Golden.load(candidate.directory / "golden.npz")

    assert len(set(golden.outputs["probs"].argmax(axis=1))) == 8
    assert golden.prove(open_model(candidate.directory / "model.onnx")[0]) <= 1e-5


def test_run_knows_its_choices_and_epochs(trained: Trained) -> None:
    """The plan is in the run's params and in the lineage; the epoch has a loss and a validation accuracy."""
    candidate, run = trained.candidate, trained.run

    assert candidate.lineage["params"] == dict(run.reported_params)
    assert candidate.lineage["params"]["batch_rows"] == 128
    assert [epoch.number for epoch in run.history] == [1]
    assert {"loss", "val_accuracy"} <= run.history[0].metrics.keys()
    json.dumps(dict(candidate.lineage), allow_nan=False)


def test_tensorboard_logs_are_written(trained: Trained) -> None:
    """The log directory holds TensorBoard's event files for training and for validation."""
    folders = {path.parent.name for path in trained.run.log_dir.rglob("events.out.tfevents.*")}

    assert {"train", "validation"} <= folders


def test_training_writes_nothing_by_itself(trained: Trained) -> None:
    """Neither Keras nor TensorFlow writes to the process's output or error: progress is the run's alone."""
    assert trained.written == ""


VIEWS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "as it is": lambda picture: picture,
    "inverted": lambda picture: picture.point(lambda value: 255 - value),
    "100 x 100 bicubic": lambda picture: picture.resize((100, 100), Image.Resampling.BICUBIC),
    "100 x 100 bilinear": lambda picture: picture.resize((100, 100), Image.Resampling.BILINEAR),
}


@pytest.fixture(scope="module")
def trained_on_mnist(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Candidate:
    """A candidate from one epoch over the real digits."""
    return train_one_epoch(tmp_path_factory.mktemp("mnist"), real_data).candidate


@pytest.mark.slow
def test_one_epoch_over_mnist_learns(trained_on_mnist: Candidate) -> None:
    """One epoch over the real digits is right on 97.5 % of the 10,000, and the export agrees on all of them."""
    assert trained_on_mnist.metrics["held_out_rows"] == 10_000
    assert trained_on_mnist.metrics["accuracy"] >= 0.975
    assert trained_on_mnist.metrics["largest_output_difference"] <= 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("view", VIEWS)
def test_served_pictures_are_read(view: str, trained_on_mnist: Candidate, real_data: Path) -> None:
    """A thousand test digits sent as PNG files are read as well inverted or enlarged as they are."""
    recipe: Any = find_recipe("digits")
    sources = Sources(data_dir=real_data, cache_dir=real_data, say=lambda _: None)
    held_out = recipe.load(sources).held_out.take(np.arange(1000))
    pixels = (held_out.inputs[..., 0] * 255).round().astype(np.uint8)
    rows = [Handwriting().apply(png(VIEWS[view](Image.fromarray(picture)))) for picture in pixels]
    answers = open_model(trained_on_mnist.directory / "model.onnx")[0].predict({"image": np.concatenate(rows)})

    assert (answers["probs"].argmax(axis=1) == held_out.labels).mean() >= 0.965


def png(picture: Image.Image) -> bytes:
    """The picture as a PNG file."""
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()
