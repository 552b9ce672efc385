"""What values of a column are taken, and how one that is not is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from fairlead.errors import Code, FairleadError
from fairlead.servable.column import Column, set_columns
from fairlead.servable.runtimes.onnx import open_model
from fairlead.servable.signature import Signature, TensorSpec

JOB = Column(categories=("Clerk", "Cook"))
AGE = Column(minimum=18, maximum=90)
HOURS = Column(may_be_missing=True)
BOUNDS = {"minimum": 18.0, "maximum": 90.0}


def texts(*values: object) -> Any:
    """A column of texts."""
    return np.array(values, object)


def fault(column: Column, array: Any) -> FairleadError:
    """What is said against the column `c`."""
    with pytest.raises(FairleadError) as caught:
        column.check("c", array)
    assert caught.value.code is Code.INVALID_ARGUMENT
    return caught.value


def test_a_text_is_one_of_the_categories() -> None:
    """Any text where there are none; the value is shown cut, and so are its alternatives."""
    JOB.check("c", texts("Cook", "Clerk"))
    Column().check("c", texts("anything", ""))
    found = fault(JOB, texts("Cook", "x" * 1000))
    assert found.message == f"column 'c' is '{'x' * 80}' in row 1, which is none of its categories"
    assert found.hint == "they are 'Clerk', 'Cook'"
    many = Column(categories=tuple(f"c{number}" for number in range(30)))
    assert fault(many, texts(b"\xff")).hint.endswith("'c19' and 10 more, which GET /models lists")


@pytest.mark.parametrize("rows", [2, 100])
def test_a_number_is_finite_and_within_the_bounds(rows: int) -> None:
    """However many rows there are; both bounds are allowed, and the fault is in the row that is named."""
    ages = np.linspace(18, 90, rows)
    AGE.check("c", ages)
    AGE.check("c", ages.astype(np.int64))
    for bad, column, said in (
        (90.5, AGE, "18 to 90"),
        (17, Column(minimum=18), "numbers from 18 on"),
        (91, Column(maximum=90), "numbers up to 90"),
        (np.inf, HOURS, "finite numbers"),
    ):
        ages[-1] = bad
        assert fault(column, ages).message == f"column 'c' is {bad:g} in row {rows - 1}, and the model takes {said}"


@pytest.mark.parametrize("values", [np.array([1.0, np.nan]), texts("Cook", "")])
def test_a_value_is_missing_where_that_is_known(values: Any) -> None:
    """NaN stands for a number, and the empty text for a category."""
    categories = JOB.categories if values.dtype == object else ()
    Column(categories=categories, may_be_missing=True).check("c", values)
    assert "'c' is missing in row 1" in fault(Column(categories=categories), values).message


def test_null_becomes_what_stands_for_a_missing_value() -> None:
    """In the dtypes that have one; there is no whole number that stands for none."""
    assert HOURS.fill("c", ["a", None], "string") == ["a", ""]
    assert np.isnan(HOURS.fill("c", [None], "float64")[0])
    for column, dtype in ((AGE, "float32"), (HOURS, "int64")):
        with pytest.raises(FairleadError, match="'c' is missing in row 1"):
            column.fill("c", [1, None], dtype)


@pytest.mark.parametrize(
    "said", [{"categories": ("a", "a")}, {"categories": ("",)}, {"minimum": 2.0, "maximum": 1.0}, {"minimum": np.nan}]
)
def test_a_column_that_makes_no_sense_is_refused(said: Any) -> None:
    """Before anybody is asked by it."""
    with pytest.raises(FairleadError):
        Column(**said)


def test_a_column_takes_what_another_took() -> None:
    """More is fine, less is not."""
    for wide, narrow in (
        (Column(), JOB),
        (Column(categories=("Cook", "Pilot", "Clerk")), JOB),
        (HOURS, Column()),
        (Column(minimum=10), AGE),
    ):
        assert wide.takes(wide)
        assert wide.takes(narrow)
        assert not narrow.takes(wide)


def test_columns_are_in_the_file_and_in_the_signature(tmp_path: Path) -> None:
    """Whoever opens the file checks the same; what is not said is not written."""
    given = [
        helper.make_tensor_value_info("age", TensorProto.DOUBLE, ["n"]),
        helper.make_tensor_value_info("other", TensorProto.DOUBLE, ["n"]),
    ]
    total = helper.make_tensor_value_info("total", TensorProto.DOUBLE, ["n"])
    graph = helper.make_graph([helper.make_node("Add", ["age", "other"], ["total"])], "sum", given, [total])
    path = tmp_path / "model.onnx"
    opsets = [helper.make_opsetid("", 17)]
    onnx.save_model(helper.make_model(graph, opset_imports=opsets, ir_version=8), str(path))
    set_columns(path, {"age": AGE})
    signature = open_model(path)[1]

    assert [spec.column for spec in signature.inputs] == [AGE, None]
    assert signature.has_columns
    assert [spec.get("column") for spec in signature.to_json()["inputs"]] == [{**BOUNDS, "may_be_missing": False}, None]
    assert Signature.from_json(signature.to_json()) == signature
    signature.check_inputs({"age": np.array([20.0]), "other": np.array([np.nan])})
    with pytest.raises(FairleadError, match="'age' is 200 in row 0"):
        signature.check_inputs({"age": np.array([200.0]), "other": np.array([0.0])})


def test_damaged_columns_are_not_loaded(tmp_path: Path) -> None:
    """A file that says what nobody can read would be checked by less than it says."""
    test_columns_are_in_the_file_and_in_the_signature(tmp_path)
    path = tmp_path / "model.onnx"
    for damaged in ("[]", "{", '{"age": {}}', '{"age": {"categories": ["a", "a"], "may_be_missing": true}}'):
        model = onnx.load(str(path))
        model.metadata_props[0].value = damaged
        onnx.save_model(model, str(path))
        with pytest.raises(FairleadError, match="columns cannot be read") as caught:
            open_model(path)
        assert caught.value.code is Code.DATA_LOSS


@pytest.mark.parametrize("shape", [(), (2,), (-1, 2), (-1, -1)])
def test_a_column_has_a_value_a_row(shape: tuple[int, ...]) -> None:
    """A tensor of another shape is none."""
    with pytest.raises(FairleadError, match="no value a row"):
        TensorSpec(name="c", dtype="float32", shape=shape, column=AGE)
