"""What a version costs is measured in a process that may break."""

from pathlib import Path

import numpy as np
import pytest

from fairlead.errors import Code, FairleadError
from fairlead.servable.cost import measure
from fairlead.servable.golden import GOLDEN_FILE, Golden
from fairlead.servable.runtimes.onnx import MODEL_FILE
from fairlead.testing import write_digit_model


def reason(directory: Path) -> str:
    """Why the model in `directory` does not serve."""
    with pytest.raises(FairleadError) as caught:
        measure(directory)
    assert caught.value.code is Code.FAILED_PRECONDITION
    return caught.value.message


def test_the_figures_are_positive(tmp_path: Path) -> None:
    """A tiny model takes some memory and some time, and not much of either."""
    write_digit_model(tmp_path, 3)
    cost = measure(tmp_path)

    assert 0 < cost.peak_memory_bytes < 200 * 2**20
    assert 0 < cost.ms_per_row < 100


def test_a_file_that_is_no_model_gives_its_reason(tmp_path: Path) -> None:
    """The other process's last words are the reason."""
    write_digit_model(tmp_path, 3)
    (tmp_path / MODEL_FILE).write_bytes(b"not a model")

    assert reason(tmp_path).startswith("the model does not serve: ")
    assert "model.onnx" in reason(tmp_path)


def test_a_missing_golden_file_gives_its_reason(tmp_path: Path) -> None:
    """Without golden rows there is nothing to measure by."""
    write_digit_model(tmp_path, 3)
    (tmp_path / GOLDEN_FILE).unlink()

    assert "the model does not serve: golden.npz is not a golden file" in reason(tmp_path)


def test_a_model_that_answers_otherwise_is_not_measured(tmp_path: Path) -> None:
    """It is proven on its golden rows first."""
    write_digit_model(tmp_path, 3)
    pictures = np.zeros((2, 28, 28, 1), np.float32)
    Golden(inputs={"image": pictures}, outputs={"probs": np.zeros((2, 10), np.float32)}).save(tmp_path / GOLDEN_FILE)

    assert reason(tmp_path) == (
        "the model does not serve: golden output 'probs' differs by 0.91; at most 0.001 is allowed"
    )


def test_a_process_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that does not answer in time is refused, here before any could."""
    write_digit_model(tmp_path, 3)
    monkeypatch.setattr("fairlead.servable.cost._TIMEOUT_S", 0.001)

    assert reason(tmp_path) == "the model did not load and answer within 0.001 s"
