"""The ONNX adapter keeps the Servable's contract, and no file brings the process down."""

import gc
import os
import random
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, save_model

from fairlead.errors import Code, FairleadError
from fairlead.servable.golden import GOLDEN_FILE, Golden
from fairlead.servable.manifest import Manifest
from fairlead.servable.runtimes.onnx import MODEL_FILE, OnnxLoader, open_model
from fairlead.servable.servable import Servable
from fairlead.servable.signature import DEFAULT_SIGNATURE, Signature, TensorSpec
from fairlead.servable.text_transform import PLAIN_TEXT, set_text_transform
from fairlead.testing import DIGIT_SIGNATURE, check_servable, write_digit_model

PICTURES = np.linspace(0, 1, 4 * 784, dtype=np.float32).reshape(4, 28, 28, 1)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory with the model that answers 3."""
    write_digit_model(tmp_path, 3)
    return tmp_path


def load(directory: Path, threads: int = 1) -> Servable:
    """The one servable of the model there."""
    return OnnxLoader(threads).load(directory).servables[DEFAULT_SIGNATURE]


def manifest(signature: Signature = DIGIT_SIGNATURE) -> Manifest:
    """The manifest of that model."""
    return Manifest(
        model="digits",
        version=1,
        runtime="onnx",
        signature=signature,
        labels=(),
        files={},
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def write_identity(path: Path, kind: int, shape: list[Any]) -> None:
    """A model that gives back what it takes."""
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "identity",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", kind, shape)],
    )
    save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), str(path))


def running() -> int:
    """How many threads this process has."""
    return sum(1 for _ in Path("/proc/self/task").iterdir())


def fault(act: Callable[[], object]) -> FairleadError:
    """The error that `act` raises."""
    with pytest.raises(FairleadError) as caught:
        act()
    return caught.value


@pytest.mark.parametrize("threads", [1, 2])
def test_the_contract(directory: Path, threads: int) -> None:
    """All that every servable keeps."""
    check_servable(load(directory, threads), manifest(), {"image": PICTURES})


def test_the_model_answers_its_digit(directory: Path) -> None:
    """The test model says who it is, and its golden rows prove it."""
    servable = load(directory)

    assert servable.predict({"image": PICTURES})["probs"].argmax(axis=1).tolist() == [3, 3, 3, 3]
    assert Golden.load(directory / GOLDEN_FILE).prove(servable) < 1e-6


def test_no_outputs_asked_for_are_none_given(directory: Path) -> None:
    """An empty list is not a wish for everything."""
    servable = load(directory)

    assert servable.predict({"image": PICTURES}, []) == {}


@pytest.mark.parametrize(
    "inputs",
    [
        {"image": PICTURES.astype(np.float64)},
        {"image": PICTURES[:, :27]},
        {"image": PICTURES[0]},
        {"image": PICTURES, "more": PICTURES},
    ],
)
def test_inputs_that_do_not_fit_are_an_error_not_a_crash(directory: Path, inputs: Mapping[str, Any]) -> None:
    """The signature is checked before; should that fail, ONNX Runtime's own words come back and it goes on."""
    servable = load(directory)
    error = fault(lambda: servable.predict(inputs))

    assert error.code is Code.INVALID_ARGUMENT
    assert error.message.startswith("the model refused the input: ")
    assert servable.predict({"image": PICTURES})["probs"].shape == (4, 10)


def test_a_closed_servable_says_so(directory: Path) -> None:
    """It neither answers nor crashes, and closing twice is harmless."""
    servable = load(directory)
    servable.close()
    servable.close()
    error = fault(lambda: servable.predict({"image": PICTURES}))

    assert (error.code, error.message) == (Code.INTERNAL, "the model was closed while a request held it")


@pytest.mark.parametrize(("threads", "started"), [(1, 0), (2, 1), (4, 3)])
def test_a_run_uses_as_many_threads_as_it_may(directory: Path, threads: int, started: int) -> None:
    """The caller's thread is one of them; the session starts the others."""
    open_model(directory / MODEL_FILE)[0].close()
    gc.collect()  # sessions of other tests end now, not in between
    before = running()
    servable = load(directory, threads)

    assert running() - before == started
    servable.close()


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        (TensorProto.FLOAT16, "float16"),
        (TensorProto.FLOAT, "float32"),
        (TensorProto.DOUBLE, "float64"),
        (TensorProto.BOOL, "bool"),
        (TensorProto.STRING, "string"),
        (TensorProto.INT8, "int8"),
        (TensorProto.INT16, "int16"),
        (TensorProto.INT32, "int32"),
        (TensorProto.INT64, "int64"),
        (TensorProto.UINT8, "uint8"),
        (TensorProto.UINT16, "uint16"),
        (TensorProto.UINT32, "uint32"),
        (TensorProto.UINT64, "uint64"),
    ],
)
def test_the_signature_is_read_from_the_file(tmp_path: Path, kind: int, dtype: str) -> None:
    """Each dtype has numpy's name and keeps the contract; named axes become -1."""
    write_identity(tmp_path / MODEL_FILE, kind, ["rows", 2])
    servable, found = open_model(tmp_path / MODEL_FILE)
    expected = Signature(
        inputs=(TensorSpec(name="x", dtype=dtype, shape=(-1, 2)),),
        outputs=(TensorSpec(name="y", dtype=dtype, shape=(-1, 2)),),
    )

    assert found == expected
    if dtype != "string":
        check_servable(servable, manifest(found), {"x": np.ones((3, 2), dtype)})
    else:
        texts = np.array([["a", "é"], ["", "x\0y"]], object)
        assert servable.predict({"x": texts})["y"].tolist()[0] == ["a", "é"]


def test_strings_may_come_as_bytes(tmp_path: Path) -> None:
    """Those that are text are taken for it; others are the caller's fault, since ONNX has text alone."""
    write_identity(tmp_path / MODEL_FILE, TensorProto.STRING, ["rows"])
    servable = open_model(tmp_path / MODEL_FILE)[0]

    assert servable.predict({"x": np.array(["a", "é".encode()], object)})["y"].tolist() == ["a", "é"]
    error = fault(lambda: servable.predict({"x": np.array([b"\xff"], object)}))
    assert (error.code, "not text in UTF-8" in error.message) == (Code.INVALID_ARGUMENT, True)


def test_texts_are_made_plain_as_the_file_says(tmp_path: Path) -> None:
    """Lower case of any script and one space for runs of white space, and nothing where the file names no transform."""
    path = tmp_path / MODEL_FILE
    write_identity(path, TensorProto.STRING, ["rows"])
    texts = np.array(["FREE \t\n ENTRY\tÀ", "İΣ".encode(), ""], object)
    assert open_model(path)[0].predict({"x": texts})["y"].tolist() == ["FREE \t\n ENTRY\tÀ", "İΣ", ""]

    set_text_transform(path, PLAIN_TEXT)

    assert open_model(path)[0].predict({"x": texts})["y"].tolist() == ["free entry\tà", "i̇ς", ""]


def test_a_long_text_among_short_ones_is_run_alone(tmp_path: Path) -> None:
    """The answers are in the order of the rows, whichever way they are run."""
    path = tmp_path / MODEL_FILE
    write_identity(path, TensorProto.STRING, ["rows"])
    set_text_transform(path, PLAIN_TEXT)
    texts = np.array(["A", "B" * 200_000, "", "C"], object)

    assert open_model(path)[0].predict({"x": texts})["y"].tolist() == ["a", "b" * 200_000, "", "c"]


def test_an_unknown_text_transform_is_refused(tmp_path: Path) -> None:
    """A newer Fairlead's transform would give wrong answers that look right."""
    path = tmp_path / MODEL_FILE
    write_identity(path, TensorProto.STRING, ["rows"])
    set_text_transform(path, "plain-text-2")

    error = fault(lambda: open_model(path))

    assert (error.code, "'plain-text-2'" in error.message) == (Code.FAILED_PRECONDITION, True)


def test_shapes_of_every_kind(tmp_path: Path) -> None:
    """A scalar has no axes; an unnamed free axis is -1 as well."""
    write_identity(tmp_path / MODEL_FILE, TensorProto.FLOAT, [])
    assert open_model(tmp_path / MODEL_FILE)[1].inputs[0].shape == ()

    write_identity(tmp_path / MODEL_FILE, TensorProto.FLOAT, [None, 3, "n"])
    assert open_model(tmp_path / MODEL_FILE)[1].inputs[0].shape == (-1, 3, -1)


def test_a_tensor_that_is_not_served_is_named(tmp_path: Path) -> None:
    """A type without a numpy dtype is refused at load, not at the first request."""
    write_identity(tmp_path / MODEL_FILE, TensorProto.BFLOAT16, ["n"])
    error = fault(lambda: open_model(tmp_path / MODEL_FILE))

    assert error.code is Code.UNIMPLEMENTED
    assert error.message == "tensor 'x' of model.onnx is a tensor(bfloat16), which is not served"


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"not a model", b"\xff" * 1000])
def test_what_is_no_model_is_data_loss(tmp_path: Path, capfd: pytest.CaptureFixture[str], content: bytes) -> None:
    """It is named, and nothing is printed where a program reads."""
    (tmp_path / MODEL_FILE).write_bytes(content)
    error = fault(lambda: open_model(tmp_path / MODEL_FILE))

    assert error.code is Code.DATA_LOSS
    assert error.message.startswith("model.onnx cannot be loaded: ")
    assert capfd.readouterr().out == ""


def test_a_missing_model_is_data_loss(tmp_path: Path) -> None:
    """It is named too."""
    assert fault(lambda: load(tmp_path)).code is Code.DATA_LOSS


def test_no_damage_brings_the_process_down(directory: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A thousand models with flipped or missing bytes load or are refused in words, and print nothing to stdout."""
    path = directory / MODEL_FILE
    whole = path.read_bytes()
    dice = random.Random(20260101)
    refused = 0
    for _ in range(1000):
        damaged = bytearray(whole)
        for _ in range(dice.choice([1, 1, 2, 5])):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        path.write_bytes(damaged[: dice.choice([len(damaged), dice.randrange(len(damaged))])])
        try:
            load(directory)
        except FairleadError:
            refused += 1

    assert refused > 500
    assert capfd.readouterr().out == ""


def test_a_damaged_name_is_data_loss(directory: Path) -> None:
    """A tensor's name that is not UTF-8 is met only when it is read."""
    path = directory / MODEL_FILE
    path.write_bytes(path.read_bytes().replace(b"probs", b"pr\xffbs"))

    assert fault(lambda: open_model(path)).code is Code.DATA_LOSS


def test_nobody_is_told_what_is_run(tmp_path: Path) -> None:
    """ONNX Runtime writes no usage reports to send into the home of whoever runs a model."""
    write_digit_model(tmp_path, 7)
    home = tmp_path / "home"
    home.mkdir()
    program = f"import fairlead, onnxruntime as o; o.InferenceSession({str(tmp_path / MODEL_FILE)!r})"
    plain = {"HOME": str(home), "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    subprocess.run([sys.executable, "-c", program], env=plain, check=True, timeout=120)
    assert list(home.iterdir()) == []
