"""What Keras trained is written as ONNX that answers the same, or refused with the reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from fairlead.conversion.choosing import original_of
from fairlead.errors import Code, FairleadError
from fairlead.servable.runtimes.onnx import open_model

layers = keras.layers
DICE = np.random.default_rng(0)
ROWS = DICE.random((300, 4))
BOTH = {"b": DICE.integers(0, 5, (300, 2)), "a": ROWS}


def functional() -> Any:
    """A model whose tensors nobody named."""
    given = keras.Input((4,))
    return keras.Model(given, layers.Dense(3, activation="softmax")(given))


def sequential() -> Any:
    """One with names that its author gave, that drops half while it is trained."""
    given = layers.Input((4,), name="image")
    return keras.Sequential([given, layers.Dense(5), layers.Dropout(0.5), layers.Dense(3, name="probs")])


def several(*, is_dict: bool) -> Any:
    """One of two inputs and two outputs."""
    a, b = keras.Input((4,), name="a"), keras.Input((2,), name="b", dtype="int32")
    joined = layers.Concatenate()([a, layers.Embedding(5, 3)(b)[:, 0]])
    one, two = layers.Dense(1, name="one")(joined), layers.Dense(2, name="two")(joined)
    return keras.Model({"a": a, "b": b}, {"one": one, "two": two}) if is_dict else keras.Model([a, b], [one, two])


def computed() -> Any:
    """A model that ends with arithmetic."""
    given = keras.Input((4,))
    return keras.Model(given, layers.Dense(3)(given) * 2)


class Own(keras.Model):  # type: ignore[misc] # Keras has no types
    """One that says in Python what it does."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = layers.Dense(2)

    def call(self, rows: Any) -> Any:
        return self.dense(rows)


def own() -> Any:
    """One of these, which was asked once."""
    model = Own()
    model(np.zeros((1, 4), np.float32))
    return model


PAIR = [("a", "float32", (-1, 4)), ("b", "int32", (-1, 2))]
KINDS: dict[str, tuple[Any, Any, list[Any], list[str]]] = {
    "functional": (functional, ROWS, [("x", "float32", (-1, 4))], ["output"]),
    "sequential": (sequential, ROWS, [("image", "float32", (-1, 4))], ["probs"]),
    "lists": (lambda: several(is_dict=False), BOTH, PAIR, ["one", "two"]),
    "dictionaries": (lambda: several(is_dict=True), BOTH, PAIR, ["one", "two"]),
    "computed": (computed, ROWS, [("x", "float32", (-1, 4))], ["output"]),
    "own": (own, ROWS, [("x", "float32", (-1, 4))], ["output"]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_answers_what_the_model_answers(tmp_path: Path, kind: str) -> None:
    """As in evaluation, by the names that its author gave, for any number of rows."""
    make, rows, inputs, outputs = KINDS[kind]
    original = original_of(make(), rows)
    original.export(tmp_path / "model.onnx")
    servable, signature = open_model(tmp_path / "model.onnx")
    want, got = original.answer(), servable.predict(original.inputs)

    assert [(spec.name, spec.dtype, spec.shape) for spec in signature.inputs] == inputs
    assert [spec.name for spec in signature.outputs] == list(want) == outputs
    for name, array in want.items():
        assert got[name].shape == array.shape
        np.testing.assert_allclose(got[name], array, atol=1e-6)


class Lacking(keras.layers.Layer):  # type: ignore[misc] # Keras has no types
    """Uses a function that ONNX does not have."""

    def call(self, rows: Any) -> Any:
        return tf.math.betainc(rows, rows, rows)


def test_what_onnx_lacks_is_named(tmp_path: Path) -> None:
    """And nothing is written."""
    given = keras.Input((4,))
    original = original_of(keras.Model(given, Lacking()(given)), ROWS)
    with pytest.raises(FairleadError, match="it has no Betainc") as caught:
        original.export(tmp_path / "model.onnx")

    assert caught.value.code is Code.UNIMPLEMENTED
    assert not list(tmp_path.iterdir())


def test_what_is_done_to_texts_is_named() -> None:
    """A vocabulary in the model is no operator of ONNX's."""
    given = keras.Input((1,), name="text", dtype="string")
    words = layers.StringLookup(vocabulary=["a", "b"], output_mode="one_hot")(given)
    original = original_of(keras.Model(given, layers.Dense(2)(words)), [["a"], ["c"]])
    with pytest.raises(FairleadError, match=r"it has no .*LookupTable"):
        original.export(Path("nowhere.onnx"))

    assert original.answer()["output"].shape == (2, 2)


def test_what_has_no_weights_is_refused() -> None:
    """It was never trained."""
    with pytest.raises(FairleadError, match="the Sequential is not trained: it has no weights yet"):
        original_of(keras.Sequential([layers.Dense(3)]), ROWS)


def test_a_sample_by_other_names_is_refused() -> None:
    """Those that the model knows are told."""
    with pytest.raises(FairleadError, match=r"the sample has \['a', 'c'\] but the model takes \['a', 'b'\]"):
        original_of(several(is_dict=False), {"a": ROWS, "c": ROWS})


def test_another_backend_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """What other backends export is not what ONNX Runtime takes."""
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(FairleadError, match="Keras runs on jax here"):
        original_of(functional(), ROWS)
