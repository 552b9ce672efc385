"""The tensors that go into a servable and come out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.errors import Code, FairleadError
from fairlead.servable.column import Column

__all__ = ["DEFAULT_SIGNATURE", "Array", "Signature", "TensorSpec", "Tensors"]

DEFAULT_SIGNATURE = "serving_default"
"""The signature that is meant when a caller names none."""

_NUMBERS = (
    "bool", "float16", "float32", "float64",
    "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
)  # fmt: skip
_DTYPES: Mapping[str, np.dtype[Any]] = {name: np.dtype(name) for name in _NUMBERS} | {"string": np.dtype(object)}

_COLUMN_SHAPES = ((-1,), (-1, 1))

Array = NDArray[Any]
Tensors = Mapping[str, Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """A named tensor.

    Attributes:
        name: what clients call it.
        dtype: a numpy dtype's name, or "string", whose values are str or bytes.
        shape: one entry an axis; -1 for an axis of any length. The batch is axis 0.
        is_unranked: the number of axes is not known either; the shape is empty then.
        node: what the model's own graph calls it; empty where that is the name.
        column: what values it may have, of a column of a table; None for a tensor of any values.
        numpy_dtype: the dtype of an array that holds it (object for strings).
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    is_unranked: bool = False
    node: str = field(default="", compare=False)
    column: Column | None = None
    numpy_dtype: np.dtype[Any] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not self.name:
            raise FairleadError(Code.INVALID_ARGUMENT, "a tensor has an empty name")
        if self.dtype not in _DTYPES:
            raise FairleadError(
                Code.INVALID_ARGUMENT,
                f"tensor {self.name!r} has dtype {self.dtype!r}",
                hint="known dtypes: " + ", ".join(sorted(_DTYPES)),
            )
        if any(size < -1 for size in self.shape):
            raise FairleadError(Code.INVALID_ARGUMENT, f"tensor {self.name!r} has shape {list(self.shape)}")
        if self.column is not None and (self.shape not in _COLUMN_SHAPES or self.is_unranked):
            raise FairleadError(
                Code.INVALID_ARGUMENT, f"column {self.name!r} has shape {list(self.shape)}, which is no value a row"
            )
        object.__setattr__(self, "numpy_dtype", _DTYPES[self.dtype])

    def admits(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of `shape` can be this tensor."""
        if len(shape) != len(self.shape) or self.is_unranked:
            return self.is_unranked
        if shape[1:] == self.shape[1:]:  # rows of a fixed shape, as nearly always
            return not shape or self.shape[0] in (-1, shape[0])
        return all(want in (-1, got) for want, got in zip(self.shape, shape, strict=True))

    def to_json(self) -> dict[str, Any]:
        shape = None if self.is_unranked else list(self.shape)
        column = {} if self.column is None else {"column": self.column.to_json()}
        return {"name": self.name, "dtype": self.dtype, "shape": shape, **column}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> TensorSpec:
        shape = data["shape"]
        return TensorSpec(
            name=str(data["name"]),
            dtype=str(data["dtype"]),
            shape=tuple(int(size) for size in shape or ()),
            is_unranked=shape is None,
            column=Column.from_json(data["column"]) if "column" in data else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """The inputs and outputs of a servable, each in the order the model declares them.

    Attributes:
        method: what TensorFlow Serving's clients are told it is for.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    method: str = field(default="tensorflow/serving/predict", compare=False)

    def __post_init__(self) -> None:
        for side, specs in (("input", self.inputs), ("output", self.outputs)):
            names = [spec.name for spec in specs]
            if not names or len(set(names)) != len(names):
                raise FairleadError(Code.INVALID_ARGUMENT, f"a signature needs distinct {side} names, got {names}")

    @property
    def has_columns(self) -> bool:
        """Whether it takes columns of a table."""
        return any(spec.column is not None for spec in self.inputs)

    def check_inputs(self, tensors: Tensors) -> None:
        """Raise INVALID_ARGUMENT unless `tensors` are exactly these inputs, well shaped, of one batch, not empty.

        The values of columns are looked at too.
        """
        if len(self.inputs) == len(tensors) == 1 and self.inputs[0].name in tensors:  # nearly always
            _check_tensor(self.inputs[0], tensors[self.inputs[0].name])
            return
        wanted = {spec.name for spec in self.inputs}
        if tensors.keys() != wanted:
            raise FairleadError(
                Code.INVALID_ARGUMENT, f"the inputs are {sorted(tensors)} but the model takes {sorted(wanted)}"
            )
        for spec in self.inputs:
            _check_tensor(spec, tensors[spec.name])
        batches = {spec.name: tensors[spec.name].shape[0] for spec in self.inputs if spec.shape[:1] == (-1,)}
        if len(set(batches.values())) > 1:
            raise FairleadError(Code.INVALID_ARGUMENT, f"the inputs differ in their number of rows: {batches}")

    def check_finite(self, tensors: Tensors) -> None:
        """Raise INVALID_ARGUMENT when a number in `tensors`, which are these inputs, is NaN or infinite.

        Columns say for themselves what they take.
        """
        for spec in self.inputs:
            if spec.numpy_dtype.kind == "f" and spec.column is None and not np.isfinite(tensors[spec.name]).all():
                raise FairleadError(
                    Code.INVALID_ARGUMENT, f"input {spec.name!r} holds a number that is not finite in {spec.dtype}"
                )

    def to_json(self) -> dict[str, Any]:
        return {
            "inputs": [spec.to_json() for spec in self.inputs],
            "outputs": [spec.to_json() for spec in self.outputs],
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Signature:
        return Signature(
            inputs=tuple(TensorSpec.from_json(spec) for spec in data["inputs"]),
            outputs=tuple(TensorSpec.from_json(spec) for spec in data["outputs"]),
        )


def _check_tensor(spec: TensorSpec, array: Array) -> None:
    if not spec.admits(array.shape):
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            f"input {spec.name!r} has shape {list(array.shape)} but the model takes {list(spec.shape)}",
        )
    if (spec.is_unranked or spec.shape[:1] == (-1,)) and array.shape[:1] == (0,):
        raise FairleadError(Code.INVALID_ARGUMENT, f"input {spec.name!r} has no rows")
    if array.dtype != spec.numpy_dtype:
        raise FairleadError(
            Code.INVALID_ARGUMENT, f"input {spec.name!r} has dtype {array.dtype} but the model takes {spec.dtype}"
        )
    if spec.column is not None:
        spec.column.check(spec.name, array)
