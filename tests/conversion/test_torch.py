"""What PyTorch trained is written as ONNX that answers the same, or refused with the reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .pytorch import run_with_torch


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Any]:
    """What became of each module."""
    found: dict[str, Any] = json.loads(run_with_torch(Path(__file__).with_name("pytorch_program.py")).splitlines()[-1])
    return found


SIGNATURES = {
    "images": ([["input", "float32", [-1, 1, 28, 28]]], [["output", [-1, 10]]]),
    "several": (
        [["x", "float32", [-1, 4]], ["kinds", "int64", [-1, 2]]],
        [["output_0", [-1, 3]], ["output_1", [-1, 3]]],
    ),
    "named": ([["pixels", "float32", [-1, 4]]], [["scores", [-1, 4]]]),
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_the_file_answers_what_the_module_answers(outcomes: dict[str, Any], name: str) -> None:
    """In evaluation, by the names of `forward`, for any number of rows; the module goes on as it was."""
    found = outcomes[name]

    assert (found["inputs"], found["outputs"]) == SIGNATURES[name]
    assert found["difference"] < 1e-6
    assert (found["framework"], found["is_training"]) == ("PyTorch", True)


def test_what_onnx_lacks_is_named(outcomes: dict[str, Any]) -> None:
    """By PyTorch's own name for it."""
    assert outcomes["lacking"]["code"] == "UNIMPLEMENTED"
    assert "bessel_j1" in outcomes["lacking"]["message"]
    assert outcomes["lacking"]["hint"]


def test_a_sample_by_other_names_is_refused(outcomes: dict[str, Any]) -> None:
    """The names of the arguments are told."""
    assert outcomes["unknown"]["message"] == "the sample has y but the model's forward() takes ['x', 'kinds']"
