"""The rows that an optimisation is calibrated and judged by: of the model's recipe, or from a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fairlead.config import Settings
from fairlead.errors import Code, FairleadError
from fairlead.gate.evidence import predicted_classes
from fairlead.servable.manifest import Manifest
from fairlead.servable.npz import read_npz
from fairlead.servable.signature import Array
from fairlead.training.dataset import Rows, class_counts
from fairlead.training.recipe import Sources, find_recipe

__all__ = ["JudgedRows", "rows_of_file", "rows_of_recipe"]

_CALIBRATION_ROWS = 512
"""The ranges of a network's tensors hardly change beyond a few hundred rows."""
_TRUTH = "truth"
_SAME = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JudgedRows:
    """Rows in two parts that have none in common.

    Attributes:
        calibration: rows that show which values a model's tensors take.
        judged: rows that tell how good it is, with the truth.
        source: where they come from, in one sentence.
        is_held_out: whether `judged` should be what the version's own metrics were measured on.
    """

    calibration: Rows
    judged: Rows
    source: str
    is_held_out: bool = False

    def check(self, answers: Array, manifest: Manifest) -> None:
        """Raise FAILED_PRECONDITION when the version was judged on other rows, as what it answers to these says."""
        told = manifest.metrics
        if not self.is_held_out or not {"held_out_rows", "accuracy"} <= told.keys():
            return
        accuracy = float(np.mean(predicted_classes(answers) == self.judged.labels))
        if len(self.judged) != told["held_out_rows"] or abs(accuracy - told["accuracy"]) > _SAME:
            raise FairleadError(
                Code.FAILED_PRECONDITION,
                f"{manifest.id} was right on {told['accuracy']:.2%} of the {told['held_out_rows']:,.0f} rows it was"
                f" judged on, and is on {accuracy:.2%} of these {len(self.judged):,}, which are others: {self.source}",
                hint="set FAIRLEAD_DATA_DIR as in its training, or give --data ROWS.npz",
            )


def rows_of_recipe(settings: Settings, reference: str, manifest: Manifest, say: Callable[[str], None]) -> JudgedRows:
    """Some of what the recipe that `reference` names learns from, and all that it holds out.

    Raises:
        FairleadError: as `find_recipe`, or FAILED_PRECONDITION for the recipe of another model or one without rows.
    """
    recipe = find_recipe(reference)
    if recipe.name != manifest.model or recipe.labels != manifest.labels:
        raise FairleadError(
            Code.FAILED_PRECONDITION,
            f"the recipe {reference!r} is of {recipe.name} with {len(recipe.labels)} labels, not of {manifest.id}",
            hint="name its own with --recipe, or give --data ROWS.npz",
        )
    dataset = recipe.load(Sources(data_dir=settings.data_dir, cache_dir=settings.home / "data", say=say))
    split = recipe.split(dataset, int(manifest.lineage.get("seed", 0)))
    _check_count(len(split.train), len(split.held_out), dataset.source)
    return JudgedRows(
        calibration=_some(split.train),
        judged=split.held_out,
        source=dataset.source,
        is_held_out=True,
    )


def rows_of_file(path: Path, manifest: Manifest) -> JudgedRows:
    """The rows in an `.npz` with an array for each input and one named `truth`; half of them at most calibrate.

    Args:
        path: the file. `truth` is one integer a row, an index into the labels.
        manifest: the model's.

    Raises:
        FairleadError: INVALID_ARGUMENT when it is no such file.
    """
    names = [spec.name for spec in manifest.signature.inputs]
    try:
        arrays = read_npz(path)
        inputs = {spec.name: arrays[spec.name].astype(spec.numpy_dtype) for spec in manifest.signature.inputs}
        rows = Rows(inputs=inputs, labels=arrays[_TRUTH].astype(np.int64, casting="same_kind"))
    except FairleadError:
        raise
    except Exception as error:  # damaged archives raise many kinds
        raise FairleadError(
            Code.INVALID_ARGUMENT, f"{path} is no .npz with rows named {', '.join(names)} and {_TRUTH}: {error}"
        ) from error
    class_counts(rows, len(manifest.labels))
    manifest.signature.check_inputs(rows.tensors(manifest.signature))
    _check_count(len(rows) // 2, len(rows) - len(rows) // 2, str(path))
    order = np.random.default_rng(0).permutation(len(rows))
    calibrating = min(_CALIBRATION_ROWS, len(rows) // 2)
    return JudgedRows(
        calibration=rows.take(order[:calibrating]), judged=rows.take(order[calibrating:]), source=path.name
    )


def _some(rows: Rows) -> Rows:
    return rows.take(np.random.default_rng(0).permutation(len(rows))[:_CALIBRATION_ROWS])


def _check_count(calibrating: int, judging: int, source: str) -> None:
    if not calibrating or not judging:
        raise FairleadError(Code.FAILED_PRECONDITION, f"there are no rows to calibrate and to judge by: {source}")
