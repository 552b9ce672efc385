"""SavedModels of every kind, written by TensorFlow itself. Importing this module imports TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

__all__ = ["write_adder", "write_file_writer", "write_half_plus_two", "write_many"]


def write_adder(directory: Path, amount: float, size: int = 1) -> None:
    """A model that adds `amount` to each row of `x` [n, 1]; `size` floats lie with it for their weight."""

    class Adder(tf.Module):  # type: ignore[misc] # TensorFlow has no types
        def __init__(self) -> None:
            super().__init__()
            self.amounts = tf.Variable(tf.fill([size], amount))

        @tf.function(input_signature=[tf.TensorSpec([None, 1], tf.float32, name="x")])  # type: ignore[untyped-decorator]
        def add(self, x: Any) -> dict[str, Any]:
            return {"y": x + self.amounts[0]}

    adder = Adder()
    tf.saved_model.save(adder, str(directory), signatures={"serving_default": adder.add})


def write_file_writer(directory: Path, target: Path) -> None:
    """A model that writes what it is asked into the file `target`, from a function inside of a function."""

    class Writer(tf.Module):  # type: ignore[misc] # TensorFlow has no types
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="x")])  # type: ignore[untyped-decorator]
        def write(self, x: Any) -> dict[str, Any]:
            def act() -> Any:
                with tf.control_dependencies([tf.io.write_file(str(target), tf.strings.reduce_join(x))]):
                    return tf.identity(x)

            return {"y": tf.cond(tf.size(x) > 0, act, lambda: x)}

    writer = Writer()
    tf.saved_model.save(writer, str(directory), signatures={"serving_default": writer.write})


def write_half_plus_two(directory: Path) -> None:
    """TensorFlow Serving's own example, y = x / 2 + 2, in the old format: predict, classify and regress signatures."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        half, two = v1.Variable(0.5, name="half"), v1.Variable(2.0, name="two")
        examples = v1.placeholder(tf.string, name="tf_example")
        parsed = tf.io.parse_example(examples, {"x": tf.io.FixedLenFeature([1], tf.float32)})
        from_examples = parsed["x"] * half + two
        x = v1.placeholder(tf.float32, [None, 1], name="x")
        y = tf.identity(x * half + two, name="y")
        session.run(v1.global_variables_initializer())
        signatures = v1.saved_model.signature_def_utils
        builder = v1.saved_model.Builder(str(directory))
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            signature_def_map={
                "serving_default": signatures.predict_signature_def({"x": x}, {"y": y}),
                "classify": signatures.classification_signature_def(examples, None, from_examples),
                "regress": signatures.regression_signature_def(examples, from_examples),
            },
        )
        builder.save()


def write_many(directory: Path) -> None:
    """A model of today's format with signatures of several tensors, of texts, of any rank, and one nobody can serve."""

    class Many(tf.Module):  # type: ignore[misc] # TensorFlow has no types
        @tf.function(  # type: ignore[untyped-decorator]
            input_signature=[tf.TensorSpec([None, 2], tf.float32, name="a"), tf.TensorSpec([None], tf.int32, name="n")]
        )
        def pair(self, a: Any, n: Any) -> dict[str, Any]:
            return {"sum": tf.reduce_sum(a, axis=1), "double": n * 2}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])  # type: ignore[untyped-decorator]
        def words(self, text: Any) -> dict[str, Any]:
            return {"upper": tf.strings.upper(text), "raw_bytes": text}

        @tf.function(input_signature=[tf.TensorSpec(None, tf.float64, name="x")])  # type: ignore[untyped-decorator]
        def double(self, x: Any) -> dict[str, Any]:
            return {"y": x * 2}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.bfloat16, name="x")])  # type: ignore[untyped-decorator]
        def narrow(self, x: Any) -> dict[str, Any]:
            return {"y": x}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.int32, name="x")])  # type: ignore[untyped-decorator]
        def picky(self, x: Any) -> dict[str, Any]:
            with tf.control_dependencies([tf.debugging.assert_positive(x, "only positive numbers")]):
                return {"y": tf.identity(x), "total": tf.reduce_sum(x)}

    many = Many()
    tf.saved_model.save(
        many,
        str(directory),
        signatures={
            "serving_default": many.pair,
            "words": many.words,
            "double": many.double,
            "narrow": many.narrow,
            "picky": many.picky,
        },
    )
