"""From a recipe to a candidate: train, export, compare with the framework's own answers, describe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.errors import Code, FairleadError
from fairlead.servable.features.texts import vocabulary_of
from fairlead.servable.golden import GOLDEN_FILE, Golden
from fairlead.servable.runtimes.onnx import MODEL_FILE, open_model
from fairlead.servable.signature import Signature
from fairlead.servable.transform import PictureTransform
from fairlead.training.dataset import Dataset, Rows, Split, class_counts, data_digest
from fairlead.training.lineage import code_revision, library_versions, recipe_folder
from fairlead.training.recipe import Recipe
from fairlead.training.reference import REFERENCE_FILE, describe
from fairlead.training.run import Run

__all__ = ["Candidate", "answers", "train"]

_GOLDEN_ROWS = 8
_BATCH_ROWS = 256
_THREADS = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidate:
    """A trained model that may become a version, with the evidence that a gate needs.

    Attributes:
        directory: holds model.onnx, golden.npz and reference.json.
        signature: the exported model's inputs and its one output.
        labels: the classes' names in the order of the output's last axis.
        transform: how a picture becomes an input row, or None.
        native: float32 [n, k], the framework's own probabilities of the held-out rows.
        exported: float32 [n, k], the exported model's.
        truth: int64 [n], the true classes.
        metrics: figures on the held-out rows, measured on the exported model.
        lineage: data source, origin and digest, code revision, library versions, seed, profile, epochs, params.
    """

    directory: Path
    signature: Signature
    labels: tuple[str, ...]
    transform: PictureTransform | None
    native: NDArray[np.float32]
    exported: NDArray[np.float32]
    truth: NDArray[np.int64]
    metrics: Mapping[str, float]
    lineage: Mapping[str, Any]


def train(recipe: Recipe, dataset: Dataset, split: Split, run: Run, work: Path) -> Candidate:
    """Train `recipe` on `split` and make a candidate in `work`.

    Args:
        recipe: how the model is made.
        dataset: what `split` was made of; named in the lineage.
        split: the rows to learn from, to watch and to judge on.
        run: how long to train, and whom to tell. Its progress line is ended here.
        work: an empty directory, made when it is not there. It belongs to the candidate from then on.

    Raises:
        FairleadError: FAILED_PRECONDITION when there are no rows to train or to judge on, when a model's outputs are
            not finite, or when the exported model has not the inputs of the rows and one output of [n, classes].
    """
    _check_rows(recipe, split)
    work.mkdir(parents=True, exist_ok=True)
    revision = code_revision(recipe_folder(recipe))  # before the training, while the files are those that were loaded
    try:
        model = recipe.train(split, run)
    finally:
        run.close()
    recipe.export(model, work / MODEL_FILE)
    signature = _signature(work / MODEL_FILE, len(recipe.labels))
    held_out = split.held_out
    native = _checked(recipe.predict(model, held_out.inputs), split, recipe, "the trained model")
    exported = _checked(answers(work / MODEL_FILE, held_out), split, recipe, "the exported model")
    _golden(signature, held_out, native).save(work / GOLDEN_FILE)
    reference = describe(held_out, exported, recipe.labels, signature, _vocabulary(split.train))
    (work / REFERENCE_FILE).write_bytes(reference.encode())
    return Candidate(
        directory=work,
        signature=signature,
        labels=recipe.labels,
        transform=recipe.transform,
        native=native,
        exported=exported,
        truth=held_out.labels,
        metrics=_measure(held_out.labels, native, exported),
        lineage=_lineage(dataset, run, revision),
    )


def answers(path: Path, rows: Rows) -> NDArray[Any]:
    """What the ONNX model at `path`, which has one output, says of the rows; by the serving runtime.

    Args:
        path: the ONNX file.
        rows: at least one; run in batches, so that memory stays small.

    Raises:
        FairleadError: INVALID_ARGUMENT when the model takes other inputs.
    """
    servable, signature = open_model(path, threads=_THREADS)
    tensors, output = rows.tensors(signature), signature.outputs[0].name
    found = [
        servable.predict({name: array[start : start + _BATCH_ROWS] for name, array in tensors.items()})[output]
        for start in range(0, len(rows), _BATCH_ROWS)
    ]
    servable.close()
    return np.concatenate(found)


def _check_rows(recipe: Recipe, split: Split) -> None:
    for name, rows in (("train", split.train), ("judge", split.held_out)):
        if not len(rows):
            raise FairleadError(
                Code.FAILED_PRECONDITION, f"{recipe.name} has no rows to {name} on", hint="check the data source"
            )
        class_counts(rows, len(recipe.labels))


def _signature(path: Path, classes: int) -> Signature:
    servable, signature = open_model(path)
    servable.close()
    if len(signature.outputs) != 1 or signature.outputs[0].shape != (-1, classes):
        raise FairleadError(
            Code.FAILED_PRECONDITION,
            f"the exported model has the signature {signature.to_json()}; one output of [-1, {classes}] is wanted",
        )
    return signature


def _checked(outputs: NDArray[Any], split: Split, recipe: Recipe, what: str) -> NDArray[np.float32]:
    """The outputs as float32, if they are finite and one row of class probabilities a held-out row."""
    wanted = (len(split.held_out), len(recipe.labels))
    if outputs.shape != wanted:
        raise FairleadError(
            Code.FAILED_PRECONDITION, f"{what} gives outputs of shape {list(outputs.shape)}; {list(wanted)} is wanted"
        )
    if not np.isfinite(outputs).all():
        raise FairleadError(
            Code.FAILED_PRECONDITION,
            f"{what} gives numbers that are not finite: the training diverged",
            hint="lower the learning rate",
        )
    return np.asarray(outputs, np.float32)


def _golden(signature: Signature, held_out: Rows, native: NDArray[np.float32]) -> Golden:
    which = _golden_rows(held_out.labels, native)
    return Golden(
        inputs=held_out.take(which).tensors(signature),
        outputs={signature.outputs[0].name: native[which]},
    )


def _golden_rows(truth: NDArray[np.int64], native: NDArray[np.float32]) -> NDArray[np.int64]:
    """Positions of a few rows: those the model gets right first, each from another class as far as there are."""
    is_right = native.argmax(axis=1) == truth
    ordered = np.concatenate([np.flatnonzero(is_right), np.flatnonzero(~is_right)])
    first_of_class = np.sort(np.unique(truth[ordered], return_index=True)[1])
    others = np.setdiff1d(np.arange(len(ordered)), first_of_class)
    return np.asarray(ordered[np.concatenate([first_of_class, others])[:_GOLDEN_ROWS]], np.int64)


def _vocabulary(train: Rows) -> frozenset[int]:
    """The words of the training texts, where the only input is one."""
    (array, *others) = train.columns.values()
    return vocabulary_of(array.ravel().tolist()) if array.dtype.kind == "O" and not others else frozenset()


def _measure(
    truth: NDArray[np.int64], native: NDArray[np.float32], exported: NDArray[np.float32]
) -> Mapping[str, float]:
    is_right = exported.argmax(axis=1) == truth
    given = exported[np.arange(len(truth)), truth].astype(np.float64)
    return {
        "accuracy": float(is_right.mean()),
        "native_accuracy": float((native.argmax(axis=1) == truth).mean()),
        "worst_class_recall": min(float(is_right[truth == label].mean()) for label in np.unique(truth)),
        "log_loss": float(-np.log(given.clip(1e-7)).mean()),
        "largest_output_difference": float(np.abs(native - exported).max()),
        "held_out_rows": float(len(truth)),
    }


def _lineage(dataset: Dataset, run: Run, revision: str) -> Mapping[str, Any]:
    return {
        "data": {"source": dataset.source, "origin": dict(dataset.origin), "sha256": data_digest(dataset)},
        "code_revision": revision,
        "libraries": dict(library_versions()),
        "seed": run.seed,
        "profile": run.profile,
        "epochs": run.epochs,
        "params": dict(run.reported_params),
    }
