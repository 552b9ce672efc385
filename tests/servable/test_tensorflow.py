"""The SavedModel adapter answers as TensorFlow does, keeps the Servable's contract, and gives its memory back."""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from fairlead.errors import Code, FairleadError
from fairlead.servable.manifest import Manifest
from fairlead.servable.runtimes.tensorflow import SavedModelLoader
from fairlead.servable.servable import LoadedModel
from fairlead.servable.warmup import warm_up
from fairlead.testing import check_servable

LOADER = SavedModelLoader()


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory with the models of `tests.saved_models`."""
    from tests.saved_models import write_adder, write_half_plus_two, write_many

    root = tmp_path_factory.mktemp("saved")
    write_many(root / "many")
    write_half_plus_two(root / "half_plus_two")
    write_adder(root / "heavy", 1.0, size=2_000_000)
    gc.freeze()  # as in a server; else each close would walk all that the tests have imported
    yield root
    gc.unfreeze()


def manifest(model: LoadedModel, signature: str) -> Manifest:
    """The manifest that one of the signatures would have."""
    return Manifest(
        model="m",
        version=1,
        runtime="tensorflow",
        signature=model.signatures[signature],
        labels=(),
        files={},
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def fault(act: Callable[[], object]) -> FairleadError:
    """The error that `act` raises."""
    with pytest.raises(FairleadError) as caught:
        act()
    return caught.value


PAIR = {"a": np.arange(6, dtype=np.float32).reshape(3, 2), "n": np.array([1, 2, 3], np.int32)}
WORDS = {"text": np.array(["a", "é", b"\xff\0", ""], object)}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("signature", "inputs"), [("serving_default", PAIR), ("words", WORDS)])
def test_the_contract(saved: Path, signature: str, inputs: dict[str, Any], threads: int) -> None:
    """All that every servable keeps; the other signatures go on when one is closed."""
    model = SavedModelLoader(threads).load(saved / "many")
    check_servable(model.servables[signature], manifest(model, signature), inputs)

    assert model.servables["double"].predict({"x": np.array(4.0)})["y"] == 8


def test_the_answers_are_tensorflows(saved: Path) -> None:
    """Bit for bit, for tensors of several dtypes and for texts."""
    import tensorflow as tf

    theirs = tf.saved_model.load(str(saved / "many")).signatures
    ours = LOADER.load(saved / "many")

    for name, inputs in (("serving_default", PAIR), ("words", WORDS), ("double", {"x": np.ones((1, 2, 3))})):
        expected = theirs[name](**{key: tf.constant(array) for key, array in inputs.items()})
        got = ours.servables[name].predict(inputs)
        assert {key: array.tolist() for key, array in got.items()} == {
            key: tensor.numpy().tolist() for key, tensor in expected.items()
        }
    ours.close()


def test_the_signatures_are_those_of_the_model(saved: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Names, dtypes, shapes, the graph's own names; one with a dtype that no array has is left out and named."""
    with caplog.at_level(logging.WARNING):
        model = LOADER.load(saved / "many")
    pair, double = model.signatures["serving_default"], model.signatures["double"]

    assert sorted(model.signatures) == ["double", "picky", "serving_default", "words"]
    assert "signature 'narrow' cannot be served: tensor 'x'" in caplog.text
    assert [(spec.name, spec.dtype, spec.shape) for spec in (*pair.inputs, *pair.outputs)] == [
        ("a", "float32", (-1, 2)),
        ("n", "int32", (-1,)),
        ("double", "int32", (-1,)),
        ("sum", "float32", (-1,)),
    ]
    assert pair.inputs[0].node == "serving_default_a:0"
    assert (double.inputs[0].is_unranked, double.inputs[0].shape) == (True, ())
    assert model.init_op == "NoOp"
    model.close()


def test_the_old_format_with_its_methods(saved: Path) -> None:
    """A model of TensorFlow 1: methods as they were written, and examples in, scores out."""
    import tensorflow as tf

    model = LOADER.load(saved / "half_plus_two")
    feature = tf.train.Feature(float_list=tf.train.FloatList(value=[4.0]))
    example = tf.train.Example(features=tf.train.Features(feature={"x": feature})).SerializeToString()

    assert {name: signature.method for name, signature in model.signatures.items()} == {
        "serving_default": "tensorflow/serving/predict",
        "classify": "tensorflow/serving/classify",
        "regress": "tensorflow/serving/regress",
    }
    assert model.init_op == ""
    answer = model.servables["regress"].predict({"inputs": np.array([example], object)})
    assert answer["outputs"].tolist() == [[4.0]]
    error = fault(lambda: model.servables["regress"].predict({"inputs": np.array([b"no example"], object)}))
    assert error.code is Code.INVALID_ARGUMENT
    model.close()


def test_what_the_model_refuses_is_the_callers_fault(saved: Path) -> None:
    """In one line, and the next request is answered; an output without axes is an array all the same."""
    model = LOADER.load(saved / "many")
    picky = model.servables["picky"]
    error = fault(lambda: picky.predict({"x": np.array([1, -1], np.int32)}))

    assert error.code is Code.INVALID_ARGUMENT
    assert "only positive numbers" in error.message
    assert "\n" not in error.message
    total = picky.predict({"x": np.array([1, 2], np.int32)})["total"]
    assert (total.ndim, total.dtype.name, int(total)) == (0, "int32", 3)
    model.close()


def test_a_closed_servable_says_so(saved: Path) -> None:
    """It neither answers nor crashes."""
    model = LOADER.load(saved / "many")
    model.close()

    assert fault(lambda: model.servables["words"].predict(WORDS)).code is Code.INTERNAL


def test_warming_up_runs_what_it_can(saved: Path) -> None:
    """A signature that refuses zeros, or whose shapes are not known, is no reason against the model."""
    model = LOADER.load(saved / "many")
    warm_up(model, saved / "many", None)
    old = LOADER.load(saved / "half_plus_two")
    warm_up(old, saved / "half_plus_two", None)

    model.close()
    old.close()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "SavedModel file does not exist"),
        (b"\xff" * 100, "cannot be loaded"),
        (b"", "tags 'serve' could not be found"),
    ],
)
def test_what_is_no_model_is_data_loss(tmp_path: Path, content: bytes | None, said: str) -> None:
    """The directory is named."""
    if content is not None:
        (tmp_path / "saved_model.pb").write_bytes(content)
    error = fault(lambda: LOADER.load(tmp_path))

    assert (error.code, str(tmp_path) in error.message) == (Code.DATA_LOSS, True)
    assert said in error.message


@pytest.mark.parametrize("missing", ["variables/variables.index", "variables/variables.data-00000-of-00001"])
def test_a_model_without_its_variables_is_data_loss(saved: Path, missing: str) -> None:
    """As a copy that was cut short leaves it."""
    path = saved / "half_plus_two" / missing
    away = path.rename(path.with_name("away"))
    error = fault(lambda: LOADER.load(saved / "half_plus_two"))
    away.rename(path)

    assert error.code is Code.DATA_LOSS


def test_without_tensorflow_the_error_names_the_extra(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The data plane alone has no TensorFlow, and says what to install."""
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    error = fault(lambda: LOADER.load(saved / "many"))

    assert (error.code, error.hint) == (Code.FAILED_PRECONDITION, "pip install 'fairlead[tensorflow]'")


def test_fifty_reloads_give_their_memory_back(saved: Path) -> None:
    """Of a model of 8 MB; what one leaves is not to be seen beside that."""
    process = psutil.Process()

    def reload() -> int:
        model = LOADER.load(saved / "heavy")
        assert model.servables["serving_default"].predict({"x": np.zeros((1, 1), np.float32)})["y"] == 1
        model.close()
        return int(process.memory_info().rss)

    settled = max(reload() for _ in range(5))
    threads = process.num_threads()

    assert max(reload() for _ in range(50)) < settled + 20 * 2**20
    assert process.num_threads() <= threads


def test_operators_on_files_need_a_word(tmp_path: Path) -> None:
    """A model that writes files is refused before anything of it runs, wherever in it the operator is."""
    from tests.saved_models import write_file_writer

    write_file_writer(tmp_path / "model", tmp_path / "written")
    error = fault(lambda: LOADER.load(tmp_path / "model"))
    assert (error.code, error.message) == (
        Code.FAILED_PRECONDITION,
        "the SavedModel is refused: WriteFile is an operator that reads or writes files, or runs Python",
    )
    assert not (tmp_path / "written").exists()

    model = SavedModelLoader(may_use_files=True).load(tmp_path / "model")
    model.servables["serving_default"].predict({"x": np.array(["a", "b"], object)})
    assert (tmp_path / "written").read_text() == "ab"
    model.close()
