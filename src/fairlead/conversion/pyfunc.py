"""A model of MLflow's that only Python can load, asked in a process of its own, and made into what a version holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fairlead.conversion.mlflow_model import MlflowModel
from fairlead.conversion.mlflow_signature import ROWS, Declared, declared
from fairlead.conversion.original import answers_of
from fairlead.errors import Code, FairleadError
from fairlead.servable.column import Column
from fairlead.servable.golden import Golden
from fairlead.servable.npz import read_npz
from fairlead.servable.pyfunc.layout import Form, Layout
from fairlead.servable.pyfunc.process import ModelProcess
from fairlead.servable.pyfunc.servable import checked, missing_texts
from fairlead.servable.sample import samples
from fairlead.servable.signature import Array, Signature, Tensors, TensorSpec

__all__ = ["AskedModel", "ask_model"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedModel:
    """What a model turned out to be.

    Attributes:
        layout: its form and its signature.
        proof: rows, and what it answered.
    """

    layout: Layout
    proof: Golden


@dataclass(frozen=True, slots=True, kw_only=True)
class _Model:
    """See `Asked`."""

    process: ModelProcess
    form: Form
    signature: Signature
    inputs: Tensors
    kind: str = "model"

    def answer(self) -> dict[str, Array]:
        return self.process.run(self.form, self.inputs, missing_texts(self.signature))


def ask_model(model: MlflowModel, process: ModelProcess, sample: Path | None = None) -> AskedModel:
    """Ask the model twice.

    Args:
        model: what is said of it.
        process: has loaded it.
        sample: rows to ask it, an `.npz` with an array for each input; None for those that came with it, or for some
            made from its signature.

    Raises:
        FairleadError: saying why it cannot be served: it has no signature and no rows, it rejects them, it changes its
            answer.
    """
    said = declared(model.signature)
    form, given = ("", _read(sample)) if sample else process.example()
    if said is None and not given:
        raise FairleadError(
            Code.FAILED_PRECONDITION,
            f"{model.directory} has no signature, and no rows came along",
            hint="save it with an input_example, or give rows: --sample ROWS.npz",
        )
    said = said or _found(form, given)
    signature = _taking(said.inputs)
    rows = _rows(signature, given or _made(signature))
    signature.check_inputs(rows)
    signature.check_finite(rows)
    answers = answers_of(_Model(process=process, form=said.form, signature=signature, inputs=rows))
    outputs = _outputs(said.outputs, answers)
    count = len(next(iter(rows.values())))
    try:
        proven = {spec.name: checked(spec, answers, count) for spec in outputs}
    except FairleadError as error:
        raise FairleadError(Code.FAILED_PRECONDITION, error.message) from error
    layout = Layout(form=said.form, signature=Signature(inputs=said.inputs, outputs=outputs))
    return AskedModel(layout=layout, proof=Golden(inputs=rows, outputs=proven))


def _read(sample: Path) -> dict[str, Array]:
    try:
        return read_npz(sample)
    except Exception as error:  # damaged archives raise many kinds
        raise FairleadError(Code.INVALID_ARGUMENT, f"{sample} is no sample: {error}") from error


def _found(form: Form, rows: Tensors) -> Declared:
    """What a model without a signature takes: such as the rows are."""
    if not form:
        is_table = all(array.ndim == 1 for array in rows.values())
        form = "table" if is_table else "array" if len(rows) == 1 else "arrays"
    names = [ROWS] if form == "array" else list(rows)
    inputs = tuple(
        _spec(name, array, column=Column() if form == "table" else None)
        for name, array in zip(names, rows.values(), strict=True)
    )
    return Declared(form=form, inputs=inputs, outputs=())


def _spec(name: str, array: Array, column: Column | None = None) -> TensorSpec:
    dtype = "string" if array.dtype.kind == "O" else array.dtype.name
    return TensorSpec(name=name, dtype=dtype, shape=(-1, *array.shape[1:]), column=column)


def _taking(inputs: tuple[TensorSpec, ...]) -> Signature:
    """A signature with these inputs, while it is not known what comes out."""
    return Signature(inputs=inputs, outputs=(TensorSpec(name="?", dtype="float32", shape=()),))


def _made(signature: Signature) -> Mapping[str, Array]:
    made = next(iter(samples(signature)), None)
    if made is None:
        raise FairleadError(Code.FAILED_PRECONDITION, "no rows can be made of its signature", hint="--sample ROWS.npz")
    return dict(made)


def _rows(signature: Signature, given: Tensors) -> dict[str, Array]:
    """The rows in the signature's dtypes; the only input is meant whatever it is called.

    Raises:
        FairleadError: INVALID_ARGUMENT when some are missing, or are of another kind.
    """
    specs = signature.inputs
    by_name = dict(zip((specs[0].name,), given.values(), strict=True)) if len(specs) == len(given) == 1 else given
    lacking = [spec.name for spec in specs if spec.name not in by_name]
    if lacking:
        raise FairleadError(Code.INVALID_ARGUMENT, f"the sample lacks {lacking}: it has {sorted(by_name)}")
    try:
        return {spec.name: by_name[spec.name].astype(spec.numpy_dtype) for spec in specs}
    except (ValueError, TypeError) as error:
        raise FairleadError(Code.INVALID_ARGUMENT, f"the sample does not fit the signature: {error}") from error


def _outputs(said: tuple[TensorSpec, ...], answers: Tensors) -> tuple[TensorSpec, ...]:
    """What it gives: as its signature says, or else as it answered. One output is called what the answer calls it."""
    if len(said) == len(answers) == 1:
        (name,) = answers
        return (TensorSpec(name=name, dtype=said[0].dtype, shape=said[0].shape),)
    return said or tuple(_spec(name, array) for name, array in answers.items())
