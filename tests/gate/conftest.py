"""Evidence to vary: what a model answered, from the class it predicts for each row."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from fairlead.gate.evidence import ModelEvidence
from fairlead.servable.signature import Signature, TensorSpec

Outputs = NDArray[np.float32]
Answer = Callable[[Sequence[int] | NDArray[np.int64], int], Outputs]


def signature(classes: int) -> Signature:
    """A classifier's signature."""
    return Signature(
        inputs=(TensorSpec(name="image", dtype="float32", shape=(-1, 28, 28, 1)),),
        outputs=(TensorSpec(name="probabilities", dtype="float32", shape=(-1, classes)),),
    )


@pytest.fixture(scope="session")
def answer() -> Answer:
    """Probabilities of a model that is sure of the class it predicts."""

    def answer(predicted: Sequence[int] | NDArray[np.int64], classes: int) -> Outputs:
        return np.eye(classes, dtype=np.float32)[np.asarray(predicted, dtype=np.int64)]

    return answer


@pytest.fixture(scope="session")
def model_evidence(answer: Answer) -> Callable[..., ModelEvidence]:
    """Evidence on a candidate that predicts `predicted`, and on a champion when its predictions are given."""

    def build(
        truth: Sequence[int] | NDArray[np.int64],
        predicted: Sequence[int] | NDArray[np.int64],
        *,
        champion: Sequence[int] | NDArray[np.int64] | None = None,
        labels: tuple[str, ...] = ("ham", "spam"),
    ) -> ModelEvidence:
        classes = len(labels)
        outputs = answer(predicted, classes)
        return ModelEvidence(
            labels=labels,
            truth=np.asarray(truth, dtype=np.int64),
            candidate=outputs,
            native=outputs.copy(),
            champion=None if champion is None else answer(champion, classes),
            champion_name="" if champion is None else "messages/3",
            signature=signature(classes),
            champion_signature=None if champion is None else signature(classes),
        )

    return build
