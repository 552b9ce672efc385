"""The simulation of drifting pictures, in short: real digits, a small network that is trained here, fewer windows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from benchmarks.simulations.picture_corruptions import CORRUPTIONS, SEVERITIES, Corruption
from benchmarks.simulations.picture_report import Case, markdown, missed
from benchmarks.simulations.picture_windows import Model, Seen, judge_plain, judge_severity
from fairlead.monitoring.drift.window import DriftState
from fairlead.servable.runtimes.onnx import open_model
from fairlead.training.dataset import Rows
from fairlead.training.recipe import Sources, find_recipe

pytestmark = pytest.mark.slow

STEPS, BATCH_ROWS, HIDDEN, RATE = 800, 128, 128, 0.2


def learn(train: Rows) -> list[NDArray[np.float32]]:
    """The weights of a 784-128-10 perceptron, by plain descent on digits that are moved by up to two pixels."""
    generator = np.random.default_rng(0)
    weights = [generator.normal(0, (2 / 784) ** 0.5, (784, HIDDEN)), np.zeros(HIDDEN)]
    weights += [generator.normal(0, (2 / HIDDEN) ** 0.5, (HIDDEN, 10)), np.zeros(10)]
    layers = [layer.astype(np.float32) for layer in weights]
    for step in range(STEPS):
        which = generator.integers(0, len(train), BATCH_ROWS)
        moved = np.roll(train.inputs[which], generator.integers(-2, 3, 2), axis=(1, 2)).reshape(BATCH_ROWS, -1)
        hidden = np.maximum(moved @ layers[0] + layers[1], 0)
        scores = hidden @ layers[2] + layers[3]
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        off = powers / powers.sum(axis=1, keepdims=True)
        off[np.arange(BATCH_ROWS), train.labels[which]] -= 1
        back = (off @ layers[2].T) * (hidden > 0)
        rate = np.float32(RATE * (1 - step / STEPS) / BATCH_ROWS)
        slopes = (moved.T @ back, back.sum(axis=0), hidden.T @ off, off.sum(axis=0))
        layers = [layer - rate * slope for layer, slope in zip(layers, slopes, strict=True)]
    return layers


def write(layers: list[NDArray[np.float32]], path: Path) -> None:
    """The perceptron as ONNX."""
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["image"], ["flat"]),
            helper.make_node("Gemm", ["flat", "w0", "b0"], ["sums"]),
            helper.make_node("Relu", ["sums"], ["hidden"]),
            helper.make_node("Gemm", ["hidden", "w1", "b1"], ["scores"]),
            helper.make_node("Softmax", ["scores"], ["probs"]),
        ],
        "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 28, 28, 1])],
        [helper.make_tensor_value_info("probs", TensorProto.FLOAT, ["n", 10])],
        [numpy_helper.from_array(layer, name) for layer, name in zip(layers, ("w0", "b0", "w1", "b1"), strict=True)],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)


@pytest.fixture(scope="module")
def model(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """The trained perceptron and MNIST's test images."""
    folder = tmp_path_factory.mktemp("digits")
    recipe: Any = find_recipe("digits")
    dataset = recipe.load(Sources(data_dir=real_data, cache_dir=folder, say=lambda line: None))
    write(learn(dataset.train), folder / "model.onnx")
    servable, signature = open_model(folder / "model.onnx")
    servable.close()
    return Model(
        name="perceptron",
        path=folder / "model.onnx",
        signature=signature,
        labels=recipe.labels,
        held_out=dataset.held_out,
    )


@pytest.fixture(scope="module")
def plain(model: Model) -> Seen:
    """What is logged of the plain images."""
    return model.see(model.held_out.inputs)


@pytest.fixture(scope="module")
def quiet(model: Model, plain: Seen) -> Case:
    """A hundred windows of plain images."""
    return Case(windows=tuple(judge_plain(model, plain, rounds=10, seed=4)))


def case(model: Model, plain: Seen, corruption: Corruption, severity: str) -> Case:
    """Twenty windows of a corruption."""
    windows = judge_severity(model, plain, corruption, severity, rounds=2, seed=5)
    return Case(corruption=corruption, severity=severity, windows=tuple(windows))


def test_the_network_reads_digits(quiet: Case) -> None:
    """What follows is about a model that works."""
    assert np.mean([window.accuracy for window in quiet.windows]) > 0.94


def test_plain_digits_stay_silent(quiet: Case) -> None:
    """At most one window in a hundred alarms, and the estimate is in range and right in all of them."""
    assert sum(window.report.state is DriftState.DRIFTED for window in quiet.windows) <= 1
    assert all(window.is_close and window.estimate.is_in_range for window in quiet.windows)


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda corruption: corruption.name)
def test_medium_trouble_is_found_and_named(model: Model, plain: Seen, corruption: Corruption) -> None:
    """Each window has drifted, and the report names what moved and which way."""
    assert case(model, plain, corruption, "medium").named == 1.0


@pytest.mark.parametrize("corruption", CORRUPTIONS[:3], ids=lambda corruption: corruption.name)
def test_accuracy_is_estimated_while_trouble_is_mild(model: Model, plain: Seen, corruption: Corruption) -> None:
    """Within 5 points of the truth, and it says that it can be relied on, in nine windows of ten."""
    found = case(model, plain, corruption, "mild")

    assert found.close >= 0.9
    assert found.in_range >= 0.9


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda corruption: corruption.name)
def test_a_bad_estimate_says_that_it_is_out_of_range(
    model: Model, plain: Seen, corruption: Corruption, severity: str
) -> None:
    """Where the estimate is further off than 5 points, one window in twenty at most tells people to rely on it."""
    assert case(model, plain, corruption, severity).misled <= 0.05


def test_the_page_has_every_figure_and_tells_what_is_missed(model: Model, plain: Seen, quiet: Case) -> None:
    """A row for each case; a bar that is missed is named with its figure."""
    shift = CORRUPTIONS[0]
    found = case(model, plain, shift, "medium")
    mislabelled = Case(corruption=shift, severity="medium", windows=quiet.windows)

    page = markdown(model, [quiet, found], row_cost_us=2.5)

    assert page.count("| shift, medium |") == 2
    assert missed([quiet, found]) == []
    assert [line.split(":")[0] for line in missed([quiet, mislabelled])] == ["shift, medium"]
