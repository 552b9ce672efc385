"""Classifiers and regressors of scikit-learn, alone or at the end of a pipeline."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from pickle import Pickler, PicklingError
from typing import Any, Final

import numpy as np

from fairlead.conversion import foreign_trees, frame, onnx_graph, scikit_learn_text
from fairlead.conversion.sample import is_frame, rows_of, texts_of
from fairlead.errors import Code, FairleadError
from fairlead.servable.column import Column
from fairlead.servable.signature import Array, Tensors, TensorSpec
from fairlead.servable.text_transform import PLAIN_TEXT, set_text_transform
from fairlead.training.extras import needs_extras

__all__ = ["ScikitLearn", "original"]

INSTALL: Final = "pip install 'fairlead[sklearn]'"
PROBABILITIES, PREDICTION = "probabilities", "prediction"
_OPSETS: Final = {"": 17, "ai.onnx.ml": 3}
_ONE_ARRAY: Final = "x"
_TEXTS: Final = "text"


def original(model: Any, sample: Any) -> ScikitLearn:
    """The estimator `model`, which has to be trained, and rows for it.

    Args:
        model: a classifier that knows probabilities, or a regressor; or a pipeline that ends with one; or a search that
            found one.
        sample: an array [n, columns], a DataFrame, or n texts.

    Raises:
        FairleadError: FAILED_PRECONDITION when it is not trained, UNIMPLEMENTED when it is neither of the two,
            INVALID_ARGUMENT for rows that no caller could send.
    """
    from sklearn.base import is_classifier, is_regressor  # noqa: PLC0415 - it is imported: an object of it is here
    from sklearn.exceptions import NotFittedError  # noqa: PLC0415 - as above
    from sklearn.utils.validation import check_is_fitted  # noqa: PLC0415 - as above

    model = getattr(model, "best_estimator_", model)
    kind = type(model).__name__
    try:
        check_is_fitted(model)
    except (NotFittedError, TypeError) as error:  # TypeError: a class, or what was never made to be trained
        raise FairleadError(
            Code.FAILED_PRECONDITION, f"the {kind} is not trained: {error}", hint="call its fit() first"
        ) from error
    if not is_classifier(model) and not is_regressor(model):
        raise FairleadError(
            Code.UNIMPLEMENTED,
            f"a {kind} of scikit-learn is neither a classifier nor a regressor",
            hint="end the pipeline with one",
        )
    if is_classifier(model) and not hasattr(model, "predict_proba"):
        raise FairleadError(
            Code.UNIMPLEMENTED,
            f"the {kind} is a classifier without probabilities",
            hint="wrap it in sklearn.calibration.CalibratedClassifierCV",
        )
    _check_pickles(model)
    return ScikitLearn(
        model=model, sample=sample, tensors=_tensors(rows_of(sample)), is_classifier=is_classifier(model)
    )


class _Nowhere:
    """A file of which nothing is kept."""

    def write(self, data: Any) -> int:
        return len(data)


def _check_pickles(model: Any) -> None:
    """Raise unless the estimator can be kept: one that is lost with this process can never be compared with again."""
    try:
        Pickler(_Nowhere()).dump(model)
    except (PicklingError, AttributeError, TypeError) as error:
        raise FairleadError(
            Code.FAILED_PRECONDITION,
            f"the {type(model).__name__} cannot be pickled, so it is lost with this process: {error}",
            hint="use functions of a module in place of lambdas, and leave open files and locks out of it",
        ) from error


def _tensors(rows: Array | Mapping[str, Array]) -> dict[str, Array]:
    """The rows as ONNX takes them: texts, whole numbers, and float32, in which its operators of this kind compute."""
    if not isinstance(rows, Mapping):
        name = _TEXTS if rows.dtype.kind in "OU" and rows.ndim == 1 else _ONE_ARRAY
        return {name: texts_of(rows) if rows.dtype.kind in "OU" else rows.astype(np.float32)}
    return {name: _column(name, array) for name, array in rows.items()}


def _column(name: str, array: Array) -> Array:
    if array.dtype.kind in "iu":
        return array.astype(np.int64)
    if array.dtype.kind in "fb":
        return array.astype(np.float32 if array.dtype.kind == "f" else np.bool_)
    if array.dtype.kind in "OU":
        return texts_of(array)
    raise FairleadError(
        Code.INVALID_ARGUMENT, f"column {name!r} of the sample holds {array.dtype}; numbers and texts are taken"
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class ScikitLearn:
    """See `Original`.

    Attributes:
        model: the estimator.
        sample: the rows as it takes them.
        tensors: the rows as ONNX takes them.
        is_classifier: else it is a regressor.
        framework: who trained it.
    """

    model: Any
    sample: Any
    tensors: Tensors
    is_classifier: bool
    framework: str = "scikit-learn"

    @property
    def kind(self) -> str:
        return type(self.model).__name__

    @property
    def inputs(self) -> Tensors:
        return self.tensors

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(str(label) for label in self.model.classes_) if self.is_classifier else ()

    @property
    def columns(self) -> Mapping[str, Column]:
        return frame.described(self.sample, frame.categories_of(self.sample)) if is_frame(self.sample) else {}

    def answer(self) -> dict[str, Array]:
        if not self.is_classifier:
            return {PREDICTION: np.asarray(self.model.predict(self.sample))}
        found = self.model.predict_proba(self.sample)
        if isinstance(found, list):
            raise FairleadError(
                Code.UNIMPLEMENTED,
                f"the {self.kind} answers {len(found)} questions at once",
                hint="publish a classifier for each",
            )
        return {PROBABILITIES: np.asarray(found)}

    def export(self, path: Path) -> None:
        plain = scikit_learn_text.plain(self.model, is_alone=not is_frame(self.sample))
        made = self._converted(plain)
        scikit_learn_text.pad_with_no_text(made)
        if is_frame(self.sample):
            onnx_graph.take_columns(made, self._specs)
        if self.is_classifier:
            onnx_graph.name_output(made, made.graph.output[1].name, PROBABILITIES)
        else:
            onnx_graph.name_output(made, made.graph.output[0].name, PREDICTION, is_flat=self._is_flat)
        path.write_bytes(made.SerializeToString())
        if plain.is_lowered:
            set_text_transform(path, PLAIN_TEXT)

    def _converted(self, plain: scikit_learn_text.Plain) -> Any:
        """What skl2onnx makes of it.

        Raises:
            FairleadError: UNIMPLEMENTED naming what ONNX lacks.
        """
        with needs_extras("exporting a model of scikit-learn to ONNX", INSTALL):
            from skl2onnx import convert_sklearn  # noqa: PLC0415 - part of the sklearn extra
        foreign_trees.register_loaded()
        options = {**plain.options, **({id(plain.model): {"zipmap": False}} if self.is_classifier else {})}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of the converters' own ways
                return convert_sklearn(
                    plain.model, initial_types=self._types(), target_opset=dict(_OPSETS), options=options
                )
        except Exception as error:  # converters raise whatever comes up when they meet what they do not know
            raise _refused(error) from error

    @cached_property
    def _is_flat(self) -> bool:
        return self.answer()[PREDICTION].ndim == 1

    @property
    def _specs(self) -> list[TensorSpec]:
        return [
            TensorSpec(name=name, dtype="string" if array.dtype.kind == "O" else array.dtype.name, shape=(-1,))
            for name, array in self.tensors.items()
        ]

    def _types(self) -> list[tuple[str, Any]]:
        """What skl2onnx is told of the inputs: of a table each column, where the model looks at its columns."""
        from skl2onnx.common.data_types import FloatTensorType, StringTensorType  # noqa: PLC0415 - as above

        def kind(array: Array, *shape: int) -> Any:
            return (StringTensorType if array.dtype.kind == "O" else FloatTensorType)([None, *shape])

        kinds = {array.dtype.kind == "O" for array in self.tensors.values()}
        if is_frame(self.sample) and (len(kinds) > 1 or _looks_at_columns(self.model)):
            return [(name, kind(array, 1)) for name, array in self.tensors.items()]
        name, first = next(iter(self.tensors.items()))
        shape = (len(self.tensors),) if is_frame(self.sample) else first.shape[1:]
        return [(_ONE_ARRAY if is_frame(self.sample) else name, kind(first, *shape))]


def _looks_at_columns(model: Any) -> bool:
    steps = getattr(model, "steps", None)
    return _looks_at_columns(steps[0][1]) if steps else hasattr(model, "transformers_")


def _refused(error: Exception) -> FairleadError:
    """What ONNX lacks, by its name."""
    first = str(error).split("\n")[0].split(" You may raise")[0]
    named = re.search(r"type '<class '([\w.]+)'>'", first)
    what = f"{named[1].rpartition('.')[2]} has no counterpart in ONNX" if named else first.rstrip(".")
    return FairleadError(
        Code.UNIMPLEMENTED,
        f"the model cannot be written as ONNX: {what}",
        hint="take that step out of the model and let callers do it, or use one that skl2onnx knows",
    )
