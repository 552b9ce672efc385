"""TensorFlow Serving: a directory to name as its base path, in which the version is a SavedModel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fairlead.exporting.target import Source, proven
from fairlead.exporting.tensorflow import tensorflow
from fairlead.exporting.tensorflow_graph import tensorflow_function

__all__ = ["write_saved_model"]


def write_saved_model(source: Source, target: Path) -> float:
    """Write the version as a SavedModel in a folder of its number, load it, and ask it; see `Target.write`.

    Raises:
        FairleadError: FAILED_PRECONDITION when TensorFlow is not installed or what it loads answers something else,
            UNIMPLEMENTED for an operator that is not translated.
    """
    tf = tensorflow("writing for TensorFlow Serving")
    module = tf.Module()
    module.answer = tensorflow_function(tf, source.prepare(), source.manifest.signature)
    directory = target / str(source.manifest.version)
    tf.saved_model.save(module, str(directory), signatures={"serving_default": module.answer})
    serve: Any = tf.saved_model.load(str(directory)).signatures["serving_default"]
    answers = serve(**{name: tf.constant(array) for name, array in source.golden.inputs.items()})
    return proven(source, {name: np.asarray(tensor) for name, tensor in answers.items()}, "the SavedModel")
