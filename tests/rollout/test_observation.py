"""What may be observed."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.rollout.conftest import pairs, traffic

from fairlead.errors import FairleadError
from fairlead.rollout.observation import Answers, Labels


@pytest.mark.parametrize("weight", [0.0, -0.1, 1.1, float("nan")])
def test_rows_that_no_weight_routed_are_refused(weight: float) -> None:
    """A planned share of nothing, or of more than everything, is an error."""
    for table in traffic(requests=10):
        assert isinstance(table, Answers | Labels)
        with pytest.raises(FairleadError):
            replace(table, weight=weight)


@pytest.mark.parametrize(
    "column", [{"candidate": np.ones(3, np.bool_)}, {"predicted": np.full(10, 10)}, {"predicted": np.full(10, -2)}]
)
def test_columns_that_do_not_fit_are_refused(column: dict[str, Any]) -> None:
    """Columns of different lengths, and classes without a name, are an error."""
    answers, _ = traffic(requests=10)
    assert isinstance(answers, Answers)
    with pytest.raises(FairleadError):
        replace(answers, **column)


def test_pairs_that_do_not_fit_are_refused() -> None:
    """The same for a shadow's rows and their labels."""
    answers, labels = pairs(rows=10)
    with pytest.raises(FairleadError):
        replace(answers, agrees=np.ones(9, np.bool_))
    with pytest.raises(FairleadError):
        replace(answers, candidate_predicted=np.full(10, 4))
    with pytest.raises(FairleadError):
        replace(labels, stable_right=np.ones(9, np.bool_))


def test_a_slice_holds_the_same_rows_of_every_column() -> None:
    """Cut in two and put together again, every table is what it was."""
    for table in (*traffic(requests=50), *pairs(rows=50)):
        first, second = table[:20], table[20:]
        assert len(first) + len(second) == len(table)
        for name in type(table).__dataclass_fields__:
            whole = getattr(table, name)
            if isinstance(whole, np.ndarray):
                assert np.array_equal(np.concatenate((getattr(first, name), getattr(second, name))), whole)
