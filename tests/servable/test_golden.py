"""Golden rows prove a version, or refuse it; nothing in their file is ever executed."""

import io
import os
import zipfile
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairlead.errors import Code, FairleadError
from fairlead.servable.golden import GOLDEN_FILE, Golden
from fairlead.servable.signature import Array, Tensors

GOLDEN = Golden(
    inputs={"x": np.array([[1, 2], [3, 4]], np.float32), "mask": np.array([True, False])},
    outputs={"y": np.array([0.5, 0.25], np.float32), "class": np.array([1, 0], np.int64)},
)


class Answering:
    """A servable that gives fixed outputs."""

    def __init__(self, **outputs: Array) -> None:
        self.outputs = {"y": GOLDEN.outputs["y"], "class": GOLDEN.outputs["class"], **outputs}

    def predict(self, inputs: Tensors, outputs: Collection[str] | None = None) -> dict[str, Array]:
        assert inputs is GOLDEN.inputs
        return {name: array for name, array in self.outputs.items() if array.size}

    def close(self) -> None:
        """Nothing is held."""


class Trap:
    """An object whose unpickling makes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.marker),)


def refuse(path: Path) -> FairleadError:
    """The error that loading raises."""
    with pytest.raises(FairleadError) as caught:
        Golden.load(path)
    return caught.value


def unproven(servable: Answering) -> str:
    """What is said against the servable's answers."""
    with pytest.raises(FairleadError) as caught:
        GOLDEN.prove(servable)
    assert caught.value.code is Code.FAILED_PRECONDITION
    return caught.value.message


def test_what_was_saved_loads(tmp_path: Path) -> None:
    """Names, dtypes, shapes and values come back."""
    GOLDEN.save(tmp_path / GOLDEN_FILE)
    loaded = Golden.load(tmp_path / GOLDEN_FILE)

    for ours, theirs in ((GOLDEN.inputs, loaded.inputs), (GOLDEN.outputs, loaded.outputs)):
        assert list(ours) == list(theirs)
        for name, array in ours.items():
            assert theirs[name].dtype == array.dtype
            np.testing.assert_array_equal(theirs[name], array)


def test_an_input_and_an_output_may_share_a_name(tmp_path: Path) -> None:
    """Names with colons and slashes too: TensorFlow has such."""
    both = Golden(inputs={"a/b:0": np.ones(1)}, outputs={"a/b:0": np.zeros(1)})
    both.save(tmp_path / GOLDEN_FILE)
    loaded = Golden.load(tmp_path / GOLDEN_FILE)

    assert (loaded.inputs["a/b:0"].tolist(), loaded.outputs["a/b:0"].tolist()) == ([1.0], [0.0])


def test_an_exact_answer_is_proof() -> None:
    """The largest difference comes back, here none."""
    assert GOLDEN.prove(Answering()) == 0.0


def test_rounding_is_allowed() -> None:
    """Another CPU rounds otherwise: a difference up to the tolerance passes and is told."""
    assert GOLDEN.prove(Answering(y=np.array([0.5, 0.25 + 2**-10], np.float32))) == 0.0009765625


def test_more_than_the_tolerance_is_refused() -> None:
    """A wrong model is told by how much it is wrong."""
    message = unproven(Answering(y=np.array([0.5, 0.5], np.float32)))

    assert message == "golden output 'y' differs by 0.25; at most 0.001 is allowed"


def test_large_numbers_are_rounded_in_proportion() -> None:
    """A share of the largest that a number is in any row; a small number beside large ones is held to its own size."""
    golden = Golden(inputs={"x": np.zeros(2)}, outputs={"y": np.array([[2000.0, 0.5], [0.0, 0.25]])})

    assert golden.difference({"y": np.array([[2001.0, 0.5], [1.0, 0.25]])}) == 0.0005
    with pytest.raises(FairleadError, match=r"differs by 0\.5"):
        golden.difference({"y": np.array([[2000.0, 1.0], [0.0, 0.25]])})


def test_integers_count_too() -> None:
    """Another class is another answer."""
    assert "'class' differs by 1" in unproven(Answering(**{"class": np.array([0, 0], np.int64)}))


def test_the_tolerance_is_the_callers() -> None:
    """A quantised model may be held to a wider one; the bound itself passes."""
    assert GOLDEN.prove(Answering(y=np.array([0.5, 0.5], np.float32)), tolerance=0.25) == 0.25


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_an_answer_that_is_not_finite_is_refused(value: float) -> None:
    """NaN passes no comparison, so it never passes for close."""
    assert "golden output 'y' differs by" in unproven(Answering(y=np.array([0.5, value], np.float32)))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_golden_rows_that_are_not_finite_prove_nothing(value: float) -> None:
    """Even the same infinity on both sides is refused, without a warning on the way."""
    broken = np.array([0.5, value], np.float32)
    golden = Golden(inputs=GOLDEN.inputs, outputs={"y": broken})

    with pytest.raises(FairleadError, match="differs by nan"):
        golden.prove(Answering(y=broken))


@pytest.mark.parametrize("shape", [(1,), (3,), (2, 1), (1, 2), ()])
def test_a_wrong_shape_is_refused(shape: tuple[int, ...]) -> None:
    """Nothing is broadcast to make it fit."""
    message = unproven(Answering(y=np.full(shape, 0.5, np.float32)))

    assert message == "golden output 'y' of shape [2] was not given"


def test_a_missing_output_is_refused() -> None:
    """Every golden output is asked for."""
    assert unproven(Answering(y=np.zeros(0))) == "golden output 'y' of shape [2] was not given"


def test_a_pickle_is_refused_and_never_run(tmp_path: Path) -> None:
    """An array of objects would run code of its maker's choice: it is not unpickled."""
    marker = tmp_path / "executed"
    arrays = {"input:x": np.array([Trap(marker)]), "output:y": np.zeros(1)}
    np.savez(tmp_path / GOLDEN_FILE, allow_pickle=True, **arrays)

    assert refuse(tmp_path / GOLDEN_FILE).code is Code.DATA_LOSS
    assert not marker.exists()
    with np.load(tmp_path / GOLDEN_FILE, allow_pickle=True) as unsafe:
        assert unsafe["input:x"].shape == (1,)
    assert marker.exists(), "the trap works where somebody does unpickle it"


def test_a_bare_pickle_is_refused_and_never_run(tmp_path: Path) -> None:
    """Nor is one that is called golden.npz."""
    marker = tmp_path / "executed"
    np.array([Trap(marker)]).dump(tmp_path / GOLDEN_FILE)

    assert refuse(tmp_path / GOLDEN_FILE).code is Code.DATA_LOSS
    assert not marker.exists()


def test_objects_are_not_saved(tmp_path: Path) -> None:
    """What could not be loaded is not written either."""
    with pytest.raises(ValueError, match="no texts"):
        Golden(inputs={"x": np.array([{}])}, outputs={}).save(tmp_path / GOLDEN_FILE)


@pytest.mark.parametrize("content", [b"", b"x", b"PK\x03\x04", b"PK\x05\x06" + b"\0" * 18, b"\x93NUMPY", b"\0" * 1000])
def test_what_is_no_golden_file_is_data_loss(tmp_path: Path, content: bytes) -> None:
    """Empty, torn and foreign files are named."""
    (tmp_path / GOLDEN_FILE).write_bytes(content)
    error = refuse(tmp_path / GOLDEN_FILE)

    assert error.code is Code.DATA_LOSS
    assert error.message.startswith("golden.npz is not a golden file: ")


def test_a_missing_file_is_data_loss(tmp_path: Path) -> None:
    """It is named too."""
    assert refuse(tmp_path / GOLDEN_FILE).code is Code.DATA_LOSS


def test_a_single_array_is_no_golden_file(tmp_path: Path) -> None:
    """The other kind of file that numpy writes."""
    with (tmp_path / GOLDEN_FILE).open("wb") as writer:
        np.save(writer, np.zeros(3))

    assert refuse(tmp_path / GOLDEN_FILE).code is Code.DATA_LOSS


@pytest.mark.parametrize("names", [[], ["x"], ["input:x"], ["output:y"]])
def test_a_file_that_proves_nothing_is_refused(tmp_path: Path, names: list[str]) -> None:
    """Without inputs or without outputs any model would pass."""
    np.savez(tmp_path / GOLDEN_FILE, allow_pickle=False, **{name: np.zeros(1) for name in names})

    assert refuse(tmp_path / GOLDEN_FILE).message == "golden.npz is not a golden file: it proves nothing"


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=200)
@given(data=st.data())
def test_any_damage_is_data_loss_or_harmless(compression: int, data: st.DataObject, tmp_path: Path) -> None:
    """Flipped and missing bytes raise nothing but DATA_LOSS, and leave no file open."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", compression) as archive:
        for name in ("input:x", "output:y"):
            array = io.BytesIO()
            np.save(array, np.zeros((2, 3), np.float32))
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), array.getvalue(), compression)
    damaged = bytearray(written.getvalue())
    for position in data.draw(st.lists(st.integers(0, len(damaged) - 1), min_size=1, max_size=4)):
        damaged[position] = data.draw(st.integers(0, 255))
    (tmp_path / GOLDEN_FILE).write_bytes(damaged[: data.draw(st.integers(len(damaged) // 2, len(damaged)))])
    try:
        Golden.load(tmp_path / GOLDEN_FILE)
    except FairleadError as error:
        assert error.code is Code.DATA_LOSS  # noqa: PT017 - not every flip is damage
