"""A file from elsewhere is looked at before it is taken in; what it lacks is said, and nothing is left of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from onnx import TensorProto, helper, save_model
from tests.saved_models import write_file_writer

from fairlead.app.importing import import_model
from fairlead.app.intake import Intake
from fairlead.config import Settings
from fairlead.errors import FairleadError
from fairlead.servable.disposable import Limits
from fairlead.store.store import Store


def write_sum(path: Path, given: list[str | int], made: list[str | int], axis: int) -> None:
    """A file that sums its input along an axis."""
    graph = helper.make_graph(
        [helper.make_node("ReduceSum", ["x", "axes"], ["y"])],
        "sum",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, given)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, made)],
        [helper.make_tensor("axes", TensorProto.INT64, [1], [axis])],
    )
    save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), str(path))


def taken(tmp_path: Path, path: Path, *labels: str) -> Intake:
    """What importing it comes to."""
    return import_model(Settings(home=tmp_path / "home"), path, "m", labels=labels, limits=Limits())


@pytest.mark.parametrize(
    ("given", "made", "axis", "wrong"),
    [
        ([1, "n"], [1, 1], 1, "it is not in 'x' float32[1, -1]"),
        (["n", 4], [1, 4], 0, ""),
        ([2, 4], [2, 1], 1, ""),
        (["n", 4], ["n", 1], 1, ""),
    ],
)
def test_a_free_axis_in_the_wrong_place_is_refused(
    tmp_path: Path, given: list[str | int], made: list[str | int], axis: int, wrong: str
) -> None:
    """Where another than the first is free, and that one is not: its batch would be of one row for ever."""
    write_sum(tmp_path / "model.onnx", given, made, axis)
    done = taken(tmp_path, tmp_path / "model.onnx")

    assert (done.version is None) == bool(wrong)
    assert [wrong in check.detail for check in done.report.failures] == ([True] if wrong else [])
    assert Store(tmp_path / "home" / "store").versions("m") == (() if wrong else (1,))


def test_labels_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    """One for each number of the output."""
    write_sum(tmp_path / "model.onnx", ["n", 4], ["n", 1], 1)

    (failure,) = taken(tmp_path, tmp_path / "model.onnx", "a", "b").report.failures
    assert failure.detail == "2 labels for the 1 numbers of output 'y'"


def test_a_saved_model_that_writes_files_is_refused(tmp_path: Path) -> None:
    """Before TensorFlow runs any of it; so is a directory that is none."""
    saved, target = tmp_path / "saved", tmp_path / "target"
    write_file_writer(saved, target)
    with pytest.raises(FairleadError, match="WriteFile is an operator that reads or writes files, or runs Python"):
        taken(tmp_path, saved)
    (saved / "saved_model.pb").unlink()
    with pytest.raises(FairleadError, match="is a directory: an import is of an ONNX file, a SavedModel or a model"):
        taken(tmp_path, saved)

    assert not target.exists()
    assert not Store(tmp_path / "home" / "store").models()
