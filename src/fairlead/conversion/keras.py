"""Models of Keras 3 on TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from fairlead.conversion.sample import answered_in_parts, rows_of, texts_of
from fairlead.conversion.tensorflow import write_function
from fairlead.errors import Code, FairleadError
from fairlead.servable.column import Column
from fairlead.servable.signature import Array, Tensors

__all__ = ["Keras", "original"]

_ONE_INPUT: Final = "x"
_ONE_OUTPUT: Final = "output"


def original(model: Any, sample: Any) -> Keras:
    """The model, which has to be built, and rows for it.

    Args:
        model: a model of any kind; the names that its author gave to inputs and outputs stay.
        sample: an array, or arrays by the names of the inputs.

    Raises:
        FairleadError: FAILED_PRECONDITION when it has no weights yet or runs on another backend than TensorFlow,
            INVALID_ARGUMENT for rows that it does not take.
    """
    import keras  # noqa: PLC0415 - it is imported: an object of it is here

    if keras.backend.backend() != "tensorflow":
        raise FairleadError(
            Code.FAILED_PRECONDITION,
            f"Keras runs on {keras.backend.backend()} here; models are asked and exported on TensorFlow",
            hint="set KERAS_BACKEND=tensorflow, load the saved model there, and publish it",
        )
    if not model.built:
        raise FairleadError(
            Code.FAILED_PRECONDITION,
            f"the {type(model).__name__} is not trained: it has no weights yet",
            hint="call its fit() first",
        )
    rows = rows_of(sample)
    given = rows if isinstance(rows, Mapping) else {_input_names(model)[0]: rows}
    return Keras(model=model, inputs=_typed(model, given), outputs=_output_names(model))


def _declared(model: Any) -> list[Any]:
    """The inputs that the model itself names; none of one that is a class with a call() of its own."""
    return list(getattr(model, "inputs", None) or ())


def _input_names(model: Any) -> list[str]:
    """What the author called the inputs; one without a name is `x`."""
    declared = _declared(model)
    if isinstance(getattr(model, "input", None) if declared else None, dict):
        return list(model.input)
    names = [tensor.name for tensor in declared] or [_ONE_INPUT]
    return [_ONE_INPUT] if len(names) == 1 and names[0].startswith(("keras_tensor", "input_")) else names


def _typed(model: Any, given: Mapping[str, Array]) -> Tensors:
    """The arrays in the dtypes and the order of the model's inputs."""
    declared, names = _declared(model), _input_names(model)
    if not declared:
        return {name: array.astype(np.float32) if array.dtype == np.float64 else array for name, array in given.items()}
    if set(given) != set(names):
        raise FairleadError(
            Code.INVALID_ARGUMENT, f"the sample has {sorted(given)} but the model takes {sorted(names)}"
        )
    by_name = dict(zip(names, declared, strict=True))
    return {
        name: texts_of(given[name]) if tensor.dtype == "string" else given[name].astype(tensor.dtype)
        for name, tensor in by_name.items()
    }


def _output_names(model: Any) -> tuple[str, ...]:
    """What the author called the outputs; empty where the answer itself has to tell."""
    if isinstance(getattr(model, "output", None) if _declared(model) else None, dict):
        return tuple(model.output)
    made = {part.name: part for part in getattr(model, "operations", model.layers)}
    named = [made[name] for name in getattr(model, "output_names", list(made)[-1:])]
    names = [_ONE_OUTPUT if _is_automatic(part) else part.name for part in named]
    return tuple(names) if _declared(model) and len(set(names)) == len(names) else ()


def _is_automatic(part: Any) -> bool:
    """Whether Keras named it, which it does in the order of making: another training would name it otherwise."""
    plain = part.name.replace("_", "").rstrip("0123456789")
    return bool(plain == type(part).__name__.lower().rstrip("0123456789"))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Keras:
    """See `Original`.

    Attributes:
        model: the model.
        inputs: the sample, in the dtypes of its inputs.
        outputs: what its author calls its outputs; empty for numbered ones, or those of the dictionary that it gives.
    """

    model: Any
    inputs: Tensors
    outputs: tuple[str, ...]

    @property
    def framework(self) -> str:
        return "Keras"

    @property
    def kind(self) -> str:
        return type(self.model).__name__

    @property
    def labels(self) -> tuple[str, ...]:
        return ()

    @property
    def columns(self) -> Mapping[str, Column]:
        return {}

    def answer(self) -> dict[str, Array]:
        return answered_in_parts(self.inputs, lambda rows: self._call(list(rows.values())))

    def export(self, path: Path) -> None:
        write_function(lambda *tensors: self._call(tensors), list(self._specs()), path)

    def _call(self, tensors: Sequence[Any]) -> dict[str, Any]:
        """What the model gives for its inputs, in their order, by name."""
        given = dict(zip(self.inputs, tensors, strict=True))
        if len(tensors) == 1 and not isinstance(getattr(self.model, "input", None), dict):
            found = self.model(tensors[0], training=False)
        else:
            is_list = isinstance(getattr(self.model, "input", None), list)
            found = self.model(list(tensors) if is_list else given, training=False)
        if isinstance(found, dict):
            return found
        outputs = list(found) if isinstance(found, list | tuple) else [found]
        names = self.outputs or [f"output_{place}" for place in range(len(outputs))]
        return dict(zip(names if len(outputs) > 1 or self.outputs else [_ONE_OUTPUT], outputs, strict=True))

    def _specs(self) -> Iterator[tuple[str, Sequence[int | None], Any]]:
        """Each input as the model declares it; of one that declares none, as the sample is, with any number of rows."""
        shapes = [tuple(tensor.shape) for tensor in _declared(self.model)]
        for (name, array), shape in zip(
            self.inputs.items(), shapes or [(None, *array.shape[1:]) for array in self.inputs.values()], strict=True
        ):
            yield name, shape, "string" if array.dtype == object else array.dtype
