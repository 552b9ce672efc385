"""A batch answers each request as if it had been alone."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import Code, FairleadError
from fairlead.servable.servable import NoAnswerError
from fairlead.servable.signature import Array, Signature, Tensors, TensorSpec
from fairlead.serving.batching import Joined, Outputs, can_batch, run_together

SIGNATURE = Signature(
    inputs=(
        TensorSpec(name="x", dtype="float32", shape=(-1, -1)),
        TensorSpec(name="k", dtype="int64", shape=(-1,)),
    ),
    outputs=(
        TensorSpec(name="sum", dtype="float32", shape=(-1,)),
        TensorSpec(name="scaled", dtype="float32", shape=(-1, -1)),
    ),
)


@dataclass
class Scaler:
    """Sums each row and scales it by its own k; refuses a batch with 13 in it, and notes how many rows each run had."""

    runs: list[int] = field(default_factory=list)
    drops_a_row: bool = False

    def predict(self, inputs: Tensors, outputs: Collection[str] | None = None) -> dict[str, Array]:
        x, k = inputs["x"], inputs["k"]
        self.runs.append(len(x))
        if (x == 13).any():
            raise FairleadError(Code.INVALID_ARGUMENT, "thirteen")
        answers = {"sum": x.sum(axis=1, dtype=np.float32), "scaled": (x.T * k).T.astype(np.float32)}
        if self.drops_a_row and len(x) > 1:
            answers["sum"] = answers["sum"][:-1]
        return {name: array for name, array in answers.items() if outputs is None or name in outputs}

    def close(self) -> None:
        """Nothing to free."""


def request(rows: int, width: int, seed: int = 0) -> Tensors:
    """Small whole numbers, so that sums are exact in any order."""
    generator = np.random.default_rng([rows, width, seed])
    x = generator.integers(-5, 6, (rows, width)).astype(np.float32)
    return {"x": x, "k": generator.integers(-3, 4, rows)}


def expect(answer: Outputs | Exception, tensors: Tensors) -> None:
    """The answer is the one that the request gets alone."""
    assert isinstance(answer, dict)
    alone = Scaler().predict(tensors)
    assert list(answer) == list(alone)
    for name, array in alone.items():
        np.testing.assert_array_equal(answer[name], array)


@given(
    st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=1, max_size=12),
    st.integers(1, 3),
    st.integers(1, 12),
)
def test_each_request_is_answered_as_if_alone(sizes: list[tuple[int, bool]], width: int, max_rows: int) -> None:
    """Whatever the mix of sizes and poisoned neighbours, and however small a run may be."""
    requests = [request(rows, width, seed) for seed, (rows, _) in enumerate(sizes)]
    for tensors, (_, is_poisoned) in zip(requests, sizes, strict=True):
        if is_poisoned:
            tensors["x"][0, 0] = 13
    model = Scaler()

    answers = run_together(model, Joined(requests), None, max_rows)

    for answer, tensors, (_, is_poisoned) in zip(answers, requests, sizes, strict=True):
        if is_poisoned:
            assert isinstance(answer, FairleadError)
            assert answer.message == "thirteen"
        else:
            expect(answer, tensors)
    assert max(model.runs) <= max_rows


def test_alike_requests_run_once() -> None:
    """That is what a batch is for."""
    model = Scaler()
    requests = [request(2, 3, seed) for seed in range(5)]

    answers = run_together(model, Joined(requests), None, 32)

    assert model.runs == [10]
    for answer, tensors in zip(answers, requests, strict=True):
        expect(answer, tensors)


def test_a_large_request_is_run_in_parts() -> None:
    """No run is larger than the limit, and the caller sees one answer."""
    model = Scaler()
    tensors = request(10, 2)

    (answer,) = run_together(model, Joined([tensors]), None, 4)

    assert model.runs == [3, 3, 4]
    expect(answer, tensors)


def test_a_run_that_none_of_its_requests_is_to_blame_for_is_not_repeated() -> None:
    """Whoever is in it has the same error: a graph without an answer would make each of them wait once more."""
    asked: list[int] = []

    class Mute:
        def predict(self, inputs: Tensors, outputs: Collection[str] | None = None) -> dict[str, Array]:
            asked.append(len(inputs["x"]))
            raise NoAnswerError(Code.UNAVAILABLE, "nobody speaks")

    answers = run_together(Mute(), Joined([request(1, 2), request(3, 2)]), None, 32)

    assert [str(answer) for answer in answers] == ["nobody speaks"] * 2
    assert asked == [4]


def test_only_the_outputs_asked_for_are_given() -> None:
    """By name."""
    (answer,) = run_together(Scaler(), Joined([request(2, 2)]), frozenset({"sum"}), 8)

    assert isinstance(answer, dict)
    assert list(answer) == ["sum"]


def test_a_model_that_loses_rows_gives_nobody_anothers() -> None:
    """Its signature promised a row for a row; where it does not keep that, requests run one by one."""
    model = Scaler(drops_a_row=True)
    requests = [request(1, 2, seed) for seed in range(3)]

    answers = run_together(model, Joined(requests), None, 8)

    for answer, tensors in zip(answers, requests, strict=True):
        expect(answer, tensors)
    assert model.runs == [3, 1, 1, 1]


@pytest.mark.parametrize(("first", "expected"), [(-1, True), (1, False)])
def test_a_fixed_first_axis_cannot_be_batched(first: int, expected: bool) -> None:
    """Also when only an output has it."""
    fixed = TensorSpec(name="sum", dtype="float32", shape=(first,))

    assert can_batch(Signature(inputs=SIGNATURE.inputs, outputs=(fixed,))) is expected
