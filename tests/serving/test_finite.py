"""Rows that are no numbers are counted, and handed on as they are."""

from collections.abc import Collection

import numpy as np
import pytest

from fairlead.servable.signature import Array, Tensors
from fairlead.serving.finite import FiniteCheck

NAN, INF = float("nan"), float("inf")


class Echo:
    """Answers what it is asked."""

    def predict(self, inputs: Tensors, outputs: Collection[str] | None = None) -> dict[str, Array]:
        return dict(inputs)

    def close(self) -> None:
        """Nothing to free."""


@pytest.mark.parametrize(
    ("answer", "failures"),
    [
        ({"y": np.array([[1.0, 2.0], [3.0, 4.0]])}, 0),
        ({"y": np.array([[1.0, NAN], [INF, -INF], [0.0, 0.0]], np.float32)}, 2),
        ({"y": np.array([NAN, 1.0], np.float16), "z": np.array([[[INF]], [[1.0]]])}, 2),
        ({"y": np.array(NAN)}, 1),
        ({"y": np.zeros((0, 3))}, 0),
        ({"y": np.array([1, 2]), "s": np.array(["nan"], object)}, 0),
    ],
)
def test_rows_are_counted(answer: dict[str, Array], failures: int) -> None:
    """One for each row of each output that holds any."""
    check = FiniteCheck(Echo())
    given = check.predict(answer)
    assert all(given[name] is array for name, array in answer.items())
    assert check.failures == failures
    check.predict(answer)
    assert check.failures == 2 * failures, "they add up over the parts of a batch"
