"""The network, its training and its export: everything that knows Keras and TensorFlow."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fairlead.errors import Code, FairleadError
from fairlead.training.dataset import Rows, Split
from fairlead.training.extras import needs_extras
from fairlead.training.run import Run

__all__ = ["Plan", "build", "export_onnx", "fit"]

_SIDE = 28
_BATCH_ROWS = 128
_LEAST_STEPS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The choices of one training.

    Attributes:
        steps_per_epoch: batches an epoch; a small data set is passed over several times in one.
        learning_rate: where the cosine decay starts.
        shift, zoom, turn, shear: the largest distortions: pixels, share, radians, share.
    """

    epochs: int
    steps_per_epoch: int
    batch_rows: int = _BATCH_ROWS
    learning_rate: float = 2e-3
    dropout: float = 0.4
    shift: float = 2.0
    zoom: float = 0.12
    turn: float = 0.2
    shear: float = 0.1

    @staticmethod
    def for_rows(rows: int, epochs: int, batch_rows: int | None = None) -> Plan:
        """The plan for this many training rows: every row once an epoch, and at least 120 batches."""
        batch_rows = batch_rows or _BATCH_ROWS
        steps = max(_LEAST_STEPS, math.ceil(rows / batch_rows))
        return Plan(epochs=epochs, steps_per_epoch=steps, batch_rows=batch_rows)

    def to_params(self) -> dict[str, float]:
        return asdict(self)


def build(plan: Plan, seed: int) -> Any:
    """The classic network, untrained: input "image" [-1, 28, 28, 1] in 0..1, output "probs" [-1, 10]."""
    keras = _keras()
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    image = keras.Input((_SIDE, _SIDE, 1), name="image")
    hidden = image
    for filters in (32, 64):
        # The largest of four rectified values is the rectified largest: the same answer as with the usual order, and
        # an epoch of MNIST takes 9 s on 2 cores instead of 16.
        hidden = layers.MaxPooling2D(2)(layers.Conv2D(filters, 3)(hidden))
        hidden = layers.ReLU()(hidden)
    hidden = layers.Dense(128, activation="relu")(layers.Flatten()(hidden))
    hidden = layers.Dropout(plan.dropout)(hidden)
    return keras.Model(image, layers.Dense(10, activation="softmax", name="probs")(hidden), name="digits")


def fit(model: Any, split: Split, plan: Plan, run: Run) -> None:
    """Train `model` in place."""
    keras = _keras()
    steps = plan.epochs * plan.steps_per_epoch
    model.compile(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(plan.learning_rate, steps)),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    watched = split.validation
    board = keras.callbacks.TensorBoard(run.log_dir, histogram_freq=max(1, plan.epochs // 2))
    model.fit(
        _batches(split.train, plan, run.seed),
        epochs=plan.epochs,
        steps_per_epoch=plan.steps_per_epoch,
        validation_data=(watched.inputs, watched.labels) if len(watched) else None,
        callbacks=[_reporter(keras, run, plan), board],
        shuffle=False,  # the batches are shuffled already
        verbose=0,
    )


def export_onnx(model: Any, path: Path) -> None:
    """Write the model as ONNX with a free batch axis."""
    _keras()
    with needs_extras("exporting to ONNX"):
        import tensorflow as tf  # noqa: PLC0415 - part of the tensorflow extra
        import tf2onnx  # noqa: PLC0415 - part of the tensorflow extra

    signature = [tf.TensorSpec((None, _SIDE, _SIDE, 1), tf.float32, name="image")]
    function = tf.function(lambda image: {"probs": model(image, training=False)}, input_signature=signature)
    tf2onnx.convert.from_function(function, input_signature=signature, opset=17, output_path=str(path))


def _batches(rows: Rows, plan: Plan, seed: int) -> Any:
    """Endless shuffled, distorted batches."""
    import tensorflow as tf  # noqa: PLC0415 - part of the tensorflow extra

    inputs, labels = tf.constant(rows.inputs), tf.constant(rows.labels)
    return (
        tf.data.Dataset.range(len(rows))
        .shuffle(len(rows), seed=seed)
        .repeat()
        .batch(plan.batch_rows)
        .map(lambda which: (_distort(tf.gather(inputs, which), plan), tf.gather(labels, which)))
        .prefetch(2)
    )


def _distort(images: Any, plan: Plan) -> Any:
    """Shift, turn, zoom and shear every picture of a batch a little, each in its own way, in one operation.

    The one projective transform costs about 2 ms for a batch of 128, a tenth of the training step.
    """
    import tensorflow as tf  # noqa: PLC0415 - part of the tensorflow extra

    def draw(limit: float) -> Any:
        return tf.random.uniform([tf.shape(images)[0]], -limit, limit)

    angle, slant, centre = draw(plan.turn), draw(plan.shear), (_SIDE - 1) / 2
    wide, high = 1 + draw(plan.zoom), 1 + draw(plan.zoom)
    a, b = wide * tf.cos(angle), wide * (slant - tf.sin(angle))
    c, d = high * tf.sin(angle), high * tf.cos(angle)
    across = centre - centre * (a + b) + draw(plan.shift)
    down = centre - centre * (c + d) + draw(plan.shift)
    zero = tf.zeros_like(a)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack([a, b, across, c, d, down, zero, zero], axis=1),
        output_shape=[_SIDE, _SIDE],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )


def _reporter(keras: Any, run: Run, plan: Plan) -> Any:
    """Tell `run` how far the training is."""
    return keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: run.batch(batch + 1, plan.steps_per_epoch),  # noqa: ARG005 - Keras's names
        on_epoch_end=lambda epoch, logs: run.epoch(epoch + 1, logs),
    )


def _keras() -> Any:
    """Keras on TensorFlow, without the lines that TensorFlow writes as it starts."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    with needs_extras("training the digits"), _silent_stderr():
        import keras  # noqa: PLC0415 - part of the tensorflow extra, seconds to import
        import tensorflow as tf  # noqa: PLC0415 - part of the tensorflow extra

        tf.zeros(())  # the first operation looks for devices and says so
    tf.get_logger().setLevel("ERROR")  # a process that trains twice would be warned of tracing twice
    if keras.backend.backend() != "tensorflow":
        raise FairleadError(
            Code.FAILED_PRECONDITION,
            f"Keras runs on {keras.backend.backend()} here; the digits are trained and exported on TensorFlow",
            hint="unset KERAS_BACKEND",
        )
    return keras


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Send file descriptor 2 to nowhere: TensorFlow's C++ writes there before any log level holds."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
