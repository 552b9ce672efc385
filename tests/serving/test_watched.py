"""Each run is timed; rows that are no numbers are counted, and handed on as they are."""

from collections.abc import Collection

import numpy as np
import pytest

from fairlead.servable.signature import Array, Tensors
from fairlead.serving.watched import Watched

NAN, INF = float("nan"), float("inf")


class Echo:
    """Answers what it is asked."""

    def predict(self, inputs: Tensors, outputs: Collection[str] | None = None) -> dict[str, Array]:
        return dict(inputs)

    def close(self) -> None:
        """Nothing to free."""


@pytest.mark.parametrize(
    ("answer", "nonfinite"),
    [
        ({"y": np.array([[1.0, 2.0], [3.0, 4.0]])}, 0),
        ({"y": np.array([[1.0, NAN], [INF, -INF], [0.0, 0.0]], np.float32)}, 2),
        ({"y": np.array([NAN, 1.0], np.float16), "z": np.array([[[INF]], [[1.0]]])}, 2),
        ({"y": np.array(NAN)}, 1),
        ({"y": np.zeros((0, 3))}, 0),
        ({"y": np.array([1, 2]), "s": np.array(["nan"], object)}, 0),
    ],
)
def test_rows_are_counted(answer: dict[str, Array], nonfinite: int) -> None:
    """One for each row of each output that holds any."""
    watched = Watched(Echo())
    given = watched.predict(answer)
    assert all(given[name] is array for name, array in answer.items())
    assert watched.nonfinite == nonfinite
    watched.predict(answer)
    assert watched.nonfinite == 2 * nonfinite, "they add up over the parts of a batch"


def test_each_run_is_timed() -> None:
    """Its rows and its seconds; a scalar is one row."""
    watched = Watched(Echo())
    watched.predict({"x": np.zeros((3, 2))})
    watched.predict({"x": np.array(1.0)})
    assert [rows for rows, _ in watched.runs] == [3, 1]
    assert all(seconds > 0 for _, seconds in watched.runs)
