"""The networks that are measured."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from benchmarks.harness.networks import CLASSES, CNN, HEAVY, INPUT, OUTPUT, PERCEPTRON, Network, decimals


@pytest.mark.parametrize("network", [CNN, PERCEPTRON, HEAVY], ids=lambda network: network.name)
def test_a_network_answers_a_batch_of_any_size_with_probabilities(network: Network, tmp_path: Path) -> None:
    """Each row sums to one."""
    network.write(tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])

    for rows in (1, 3):
        probs = session.run([OUTPUT], {INPUT: network.rows(rows)})[0]
        assert probs.shape == (rows, CLASSES)
        np.testing.assert_allclose(probs.sum(axis=1), 1, atol=1e-5)


def test_a_network_is_the_same_file_every_time(tmp_path: Path) -> None:
    """Its weights come from a seed."""
    for name in ("one", "other"):
        CNN.write(tmp_path / name)

    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_images_are_dense_and_survive_json() -> None:
    """No pixel is zero, and the decimals in JSON are the very float32 numbers that the binary protocols send."""
    rows = CNN.rows(2)

    assert rows.all()
    np.testing.assert_array_equal(np.array(json.loads(json.dumps(decimals(rows))), np.float32), rows)
