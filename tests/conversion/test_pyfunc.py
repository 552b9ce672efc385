"""A Python model is asked before it is published, or refused with the reason; it takes what MLflow or its rows say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests import mlflow_models as does
from tests.mlflow_models import write_obedient

from fairlead.conversion.mlflow_model import MlflowModel
from fairlead.conversion.mlflow_signature import declared
from fairlead.conversion.pyfunc import AskedModel, ask_model
from fairlead.errors import Code, FairleadError
from fairlead.servable.npz import write_npz
from fairlead.servable.pyfunc.process import Conditions, ModelProcess

NUMBERS = np.array([[0, 1], [2, 3], [4, 5]], np.float32)


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelProcess]:
    """The obedient model, loaded; it lacks a library that it asks for."""
    directory = tmp_path_factory.mktemp("asked") / "model"
    write_obedient(directory, None, requires="numpy>=1\nsomething-else==7 # why\n\nmlflow==3\n")
    with closing(ModelProcess(directory, Conditions(run_s=60.0))) as made:
        yield made


def asked(process: ModelProcess, tmp_path: Path, signature: object, **rows: Any) -> AskedModel:
    """What asking it comes to, with a signature and rows or without."""
    sample = tmp_path / "rows.npz"
    if rows:
        write_npz(sample, rows)
    return ask_model(
        MlflowModel(directory=tmp_path, flavors={}, signature=signature), process, sample if rows else None
    )


def tensors(**kinds: Any) -> str:
    """Tensors as MLflow writes them: a dtype and a shape by name."""
    return json.dumps(
        [
            {
                "type": "tensor",
                "tensor-spec": {"dtype": dtype, "shape": shape},
                **({"name": name} if name != "_" else {}),
            }
            for name, (dtype, shape) in kinds.items()
        ]
    )


def columns(**kinds: str) -> str:
    """Columns as MLflow writes them: a type by name; one with a question mark may be missing."""
    return json.dumps(
        [{"name": name, "type": kind.rstrip("?"), "required": "?" not in kind} for name, kind in kinds.items()]
    )


PAIR = {"inputs": tensors(_=("float32", [-1, 2])), "outputs": tensors(_=("float64", [-1, 2]))}


def test_rows_are_made_of_the_signature(process: ModelProcess, tmp_path: Path) -> None:
    """Where none came along; what it gives is in the type that it says."""
    found = asked(process, tmp_path, PAIR)
    signature = found.layout.signature

    assert found.layout.form == "array"
    assert [(spec.name, spec.dtype, spec.shape) for spec in signature.inputs] == [("x", "float32", (-1, 2))]
    assert [(spec.name, spec.dtype, spec.shape) for spec in signature.outputs] == [("output", "float64", (-1, 2))]
    np.testing.assert_array_equal(found.proof.outputs["output"], 2 * found.proof.inputs["x"].astype(np.float64))


def test_rows_are_a_signature(process: ModelProcess, tmp_path: Path) -> None:
    """Where there is no other: one array, or columns with a value a row each."""
    array = asked(process, tmp_path, None, picture=NUMBERS).layout
    table = asked(process, tmp_path, None, a=NUMBERS[:, 0], b=NUMBERS[:, 1]).layout

    assert (array.form, [spec.name for spec in array.signature.inputs]) == ("array", ["x"])
    assert (table.form, [spec.name for spec in table.signature.inputs]) == ("table", ["a", "b"])
    assert table.signature.has_columns
    assert [(spec.name, spec.shape) for spec in table.signature.outputs] == [("output", (-1, 2))]


@pytest.mark.parametrize(
    ("signature", "rows", "code", "said"),
    [
        (None, {}, Code.FAILED_PRECONDITION, "has no signature, and no rows came along"),
        (PAIR, {"x": NUMBERS * np.nan}, Code.INVALID_ARGUMENT, "input 'x' holds a number that is not finite"),
        (PAIR, {"x": NUMBERS[:, :1]}, Code.INVALID_ARGUMENT, r"input 'x' has shape \[3, 1\] but the model takes"),
        (PAIR, {"x": NUMBERS[:0]}, Code.INVALID_ARGUMENT, "input 'x' has no rows"),
        (PAIR, {"x": np.array([["a", "b"]], object)}, Code.INVALID_ARGUMENT, "the sample does not fit the signature"),
        (PAIR, {"x": NUMBERS + does.REFUSE}, Code.INVALID_ARGUMENT, "refused the input: ValueError: rows like these"),
        (PAIR, {"x": NUMBERS + does.NAN}, Code.FAILED_PRECONDITION, "output of the sample hold numbers that are not"),
        (PAIR, {"x": NUMBERS + does.SHAPE}, Code.FAILED_PRECONDITION, r"have shape \[2, 2\] for 3 rows: axis 0 is"),
        (PAIR, {"x": NUMBERS + does.MOODY}, Code.FAILED_PRECONDITION, "changes its answer from one call to the next"),
        (
            {**PAIR, "outputs": tensors(_=("int64", [-1, 2]))},
            {"x": NUMBERS},
            Code.FAILED_PRECONDITION,
            r"answered 'output' float32\[3, 2\] for 3 rows, and its signature says int64\[-1, 2\]",
        ),
        (
            {**PAIR, "outputs": tensors(a=("float32", [-1]), b=("float32", [-1]))},
            {"x": NUMBERS},
            Code.FAILED_PRECONDITION,
            r"lacks 'a': it has \['output'\]",
        ),
        ({"inputs": columns(a="double", b="double")}, {"a": NUMBERS[:, 0]}, Code.INVALID_ARGUMENT, "the sample lacks"),
    ],
)
def test_what_cannot_be_served_is_refused(
    process: ModelProcess, tmp_path: Path, signature: object, rows: dict[str, Any], code: Code, said: str
) -> None:
    """With the reason, before anything is written."""
    with pytest.raises(FairleadError, match=said) as caught:
        asked(process, tmp_path, signature, **rows)

    assert caught.value.code is code


def test_requirements_that_are_not_met_are_told(process: ModelProcess) -> None:
    """Of what is missing or of another version; a part of MLflow is enough."""
    assert list(process.differs) == ["something-else==7, and here is none"]


def test_columns_are_named_and_typed() -> None:
    """Each is an input with a value a row; what may be missing says so where there is something that stands for it."""
    said = declared({"inputs": columns(age="long", size="float?", job="string?", kind="string", yes="boolean?")})

    assert said is not None
    assert said.form == "table"
    assert [(spec.name, spec.dtype, spec.shape) for spec in said.inputs] == [
        ("age", "int64", (-1,)),
        ("size", "float32", (-1,)),
        ("job", "string", (-1,)),
        ("kind", "string", (-1,)),
        ("yes", "bool", (-1,)),
    ]
    assert [spec.name for spec in said.inputs if spec.column and spec.column.may_be_missing] == ["size", "job"]


def test_named_tensors_are_inputs() -> None:
    """Of any shape."""
    said = declared({"inputs": tensors(picture=("uint8", [-1, 8, 8]), text=("str", [-1]))})

    assert said is not None
    assert (said.form, said.outputs) == ("arrays", ())
    assert [(spec.name, spec.dtype) for spec in said.inputs] == [("picture", "uint8"), ("text", "string")]


@pytest.mark.parametrize(
    ("signature", "code", "said"),
    [
        ({"inputs": columns(day="datetime")}, Code.UNIMPLEMENTED, "column 'day' .* is of the type 'datetime'"),
        ({"inputs": '[{"type": "long"}, {"type": "long"}]'}, Code.UNIMPLEMENTED, "2 tensors or columns, and not each"),
        ({"inputs": tensors(_=("complex64", [-1]))}, Code.INVALID_ARGUMENT, "tensor 'x' has dtype 'complex64'"),
        ({"inputs": "["}, Code.DATA_LOSS, "signature cannot be read"),
        ({"inputs": "[1]"}, Code.DATA_LOSS, "signature cannot be read"),
    ],
)
def test_a_signature_that_no_tensor_fits_is_refused(signature: object, code: Code, said: str) -> None:
    """By the name of the column."""
    with pytest.raises(FairleadError, match=said) as caught:
        declared(signature)

    assert caught.value.code is code
