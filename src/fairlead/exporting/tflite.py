"""TFLite, which LiteRT runs on phones and small computers: one file, floats, a free batch axis."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from fairlead.exporting.target import Source, proven
from fairlead.exporting.tensorflow import tensorflow
from fairlead.exporting.tensorflow_graph import tensorflow_function
from fairlead.servable.signature import Tensors

__all__ = ["answers_of_tflite", "write_tflite"]


def write_tflite(source: Source, target: Path) -> float:
    """Write the version as TFLite, and ask the file; see `Target.write`.

    Raises:
        FairleadError: FAILED_PRECONDITION when TensorFlow is not installed or the file answers something else,
            UNIMPLEMENTED for an operator that is not translated.
    """
    tf = tensorflow("writing TFLite")
    module = tf.Module()
    module.answer = tensorflow_function(tf, source.prepare(), source.manifest.signature)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([module.answer.get_concrete_function()], module)
    target.write_bytes(converter.convert())
    return proven(source, answers_of_tflite(target, source.golden.inputs), "the TFLite file")


def answers_of_tflite(path: Path, inputs: Tensors) -> dict[str, Any]:
    """What the file at `path` answers to these rows, in TensorFlow's own interpreter."""
    tf = tensorflow("reading TFLite")
    with warnings.catch_warnings():  # of its move to another package, which has no build for all systems
        warnings.simplefilter("ignore")
        run = tf.lite.Interpreter(model_path=str(path)).get_signature_runner()
    return {name: np.asarray(array) for name, array in run(**inputs).items()}
