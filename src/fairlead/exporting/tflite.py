"""TFLite, which LiteRT runs on phones and small computers: one file, floats, a free batch axis."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from fairlead.errors import Code, FairleadError
from fairlead.exporting.target import Source
from fairlead.exporting.tensorflow_graph import tensorflow_function
from fairlead.servable.signature import Tensors
from fairlead.training.extras import needs_extras

__all__ = ["answers_of_tflite", "write_tflite"]

_TOLERANCE = 1e-4
_INSTALL = "pip install 'fairlead[control,tensorflow]'"


def write_tflite(source: Source, target: Path) -> float:
    """Write the version as TFLite, and ask the file; see `Target.write`.

    Raises:
        FairleadError: FAILED_PRECONDITION when TensorFlow is not installed or the file answers something else,
            UNIMPLEMENTED for an operator that is not translated.
    """
    tf = _tensorflow()
    module = tf.Module()
    module.answer = tensorflow_function(tf, source.prepare(), source.manifest.signature)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([module.answer.get_concrete_function()], module)
    target.write_bytes(converter.convert())
    try:
        return source.golden.difference(answers_of_tflite(target, source.golden.inputs), _TOLERANCE)
    except FairleadError as error:
        raise FairleadError(Code.FAILED_PRECONDITION, f"the TFLite file answers otherwise: {error.message}") from error


def answers_of_tflite(path: Path, inputs: Tensors) -> dict[str, Any]:
    """What the file at `path` answers to these rows, in TensorFlow's own interpreter."""
    tf = _tensorflow()
    with warnings.catch_warnings():  # of its move to another package, which has no build for all systems
        warnings.simplefilter("ignore")
        run = tf.lite.Interpreter(model_path=str(path)).get_signature_runner()
    return {name: np.asarray(array) for name, array in run(**inputs).items()}


def _tensorflow() -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # else it tells of each CPU feature
    with needs_extras("writing TFLite", _INSTALL):
        import tensorflow as tf  # noqa: PLC0415 - part of an extra
    return tf
