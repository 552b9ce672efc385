"""A function of TensorFlow's, written as ONNX; for what Keras and SavedModels have in common."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from fairlead.conversion.onnx_graph import check_operators
from fairlead.errors import Code, FairleadError
from fairlead.training.extras import needs_extras

__all__ = ["import_tensorflow", "write_function"]

INSTALL: Final = "pip install 'fairlead[tensorflow]'"
_OPSET = 17


def import_tensorflow() -> Any:
    """TensorFlow, without the lines that it writes as it starts.

    Raises:
        FairleadError: FAILED_PRECONDITION when it is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with needs_extras("converting a model of TensorFlow", INSTALL):
        import tensorflow  # noqa: ICN001, PLC0415 - part of the tensorflow extra, seconds to import
    return tensorflow


def write_function(
    function: Callable[..., Mapping[str, Any]], inputs: Sequence[tuple[str, Sequence[int | None], Any]], path: Path
) -> None:
    """Write `function` as ONNX.

    Args:
        function: from as many tensors as there are `inputs` to its outputs by name.
        inputs: the name, the shape (None for an axis of any length) and the dtype of each.
        path: where to.

    Raises:
        FairleadError: UNIMPLEMENTED naming what ONNX lacks.
    """
    tensorflow = import_tensorflow()
    with needs_extras("exporting a model of TensorFlow to ONNX", INSTALL):
        import tf2onnx  # noqa: PLC0415 - part of the tensorflow extra
    specs = [tensorflow.TensorSpec(shape, dtype, name=name) for name, shape, dtype in inputs]
    with _quiet():
        traced = tensorflow.function(function, input_signature=specs, autograph=False)
        try:
            made, _ = tf2onnx.convert.from_function(traced, input_signature=specs, opset=_OPSET)
        except Exception as error:  # converters raise whatever comes up when they meet what they do not know
            raise FairleadError(
                Code.UNIMPLEMENTED,
                f"the model cannot be written as ONNX: {str(error).splitlines()[0] if str(error) else error!r}",
                hint="take that step out of the model and let callers do it",
            ) from error
    check_operators(made)
    path.write_bytes(made.SerializeToString())


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what TensorFlow and the converter say while they work: what is wrong in the end is raised."""
    loggers = [logging.getLogger(name) for name in ("tensorflow", "tf2onnx")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
