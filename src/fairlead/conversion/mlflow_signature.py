"""What a model of MLflow's says that it takes and gives, as tensors: arrays as they are, and a table as its columns."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fairlead.errors import Code, FairleadError
from fairlead.servable.column import Column
from fairlead.servable.pyfunc.layout import Form
from fairlead.servable.signature import TensorSpec

__all__ = ["ANSWER", "ROWS", "Declared", "declared"]

ROWS: Final = "x"
"""What an input is called where nobody gave it a name."""
ANSWER: Final = "output"
"""What an output is."""
_COLUMNS: Final[Mapping[str, str]] = {
    "boolean": "bool",
    "integer": "int32",
    "long": "int64",
    "float": "float32",
    "double": "float64",
    "string": "string",
}
_TEXTS: Final = ("object", "str")


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """A signature of MLflow's.

    Attributes:
        form: what the rows are made before the model is given them.
        inputs: what it takes.
        outputs: what it gives; empty where it does not say.
    """

    form: Form
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


def declared(signature: object) -> Declared | None:
    """What the `signature` in `MLmodel` says; None where it says nothing of what the model takes.

    Raises:
        FairleadError: UNIMPLEMENTED naming what no tensor holds, DATA_LOSS when it is no signature.
    """
    try:
        inputs, outputs = _listed(signature, "inputs"), _listed(signature, "outputs")
        if not inputs:
            return None
        is_table = inputs[0]["type"] != "tensor"
        form = "table" if is_table else "arrays" if inputs[0].get("name") else "array"
        return Declared(form=form, inputs=_specs(inputs, ROWS), outputs=_specs(outputs, ANSWER))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FairleadError(
            Code.DATA_LOSS, f"the model's signature cannot be read: {type(error).__name__}: {error}"
        ) from error


def _listed(signature: object, side: str) -> Sequence[Mapping[str, Any]]:
    text = signature.get(side) if isinstance(signature, Mapping) else None
    return json.loads(text) if text else ()


def _specs(listed: Sequence[Mapping[str, Any]], unnamed: str) -> tuple[TensorSpec, ...]:
    if len(listed) > 1 and not all(one.get("name") for one in listed):
        raise FairleadError(
            Code.UNIMPLEMENTED,
            f"the model's signature has {len(listed)} tensors or columns, and not each has a name",
            hint="save the model with a table whose columns have names, or with one array",
        )
    return tuple(_spec(str(one.get("name") or unnamed), one, is_input=unnamed == ROWS) for one in listed)


def _spec(name: str, one: Mapping[str, Any], *, is_input: bool) -> TensorSpec:
    kind = one["type"]
    if kind == "tensor":
        told = one["tensor-spec"]
        dtype = "string" if told["dtype"] in _TEXTS else str(told["dtype"])
        return TensorSpec(name=name, dtype=dtype, shape=tuple(int(size) for size in told["shape"]))
    if kind not in _COLUMNS:
        raise FairleadError(
            Code.UNIMPLEMENTED,
            f"column {name!r} of the model's signature is of the type {kind!r}, which is neither a number nor a text",
            hint="give the model columns of numbers and texts, and let it make the rest of them",
        )
    dtype = _COLUMNS[kind]
    may_be_missing = not one.get("required", True) and dtype in ("float32", "float64", "string")
    column = Column(may_be_missing=may_be_missing) if is_input else None
    return TensorSpec(name=name, dtype=dtype, shape=(-1,), column=column)
