"""When labels call for a new training."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import FairleadError
from fairlead.monitoring.quality_trigger import QualityTrigger


def test_the_evidence_grows_by_1_a_label_on_average() -> None:
    """On the line itself the summed evidence of n labels is expected to be n, for each loss looked for."""
    expected = np.zeros(5)
    for outcome in itertools.product([False, True], repeat=6):
        trigger = QualityTrigger(reference=0.8, quiet_labels=1e9, tolerance=0.05)
        trigger.add(np.array(outcome))
        expected += np.where(outcome, trigger.line, 1.0 - trigger.line).prod() * np.exp(trigger.log_sums)

    assert expected == pytest.approx(np.full(5, 6.0))


@given(right=st.lists(st.booleans(), max_size=60), cut=st.integers(0, 60))
def test_labels_may_be_folded_in_any_pieces(right: list[bool], cut: int) -> None:
    """A trigger that was written down and read back between two labels is the same to the last bit."""
    whole, pieces = (QualityTrigger(reference=0.9, quiet_labels=1e12) for _ in range(2))
    whole.add(np.array(right, np.bool_))
    pieces.add(np.array(right[:cut], np.bool_))
    pieces = QualityTrigger.from_json(json.loads(json.dumps(pieces.to_json())))
    pieces.add(np.array(right[cut:], np.bool_))

    assert pieces.to_json() == whole.to_json()


def test_it_starts_afresh_after_a_trigger() -> None:
    """The evidence that triggered once does not trigger again."""
    trigger = QualityTrigger(reference=0.9, quiet_labels=1000)
    assert trigger.add(np.zeros(100, np.bool_))

    assert trigger.labels == 0
    assert not trigger.add(np.ones(10, np.bool_))


def test_a_better_model_never_triggers() -> None:
    """Nothing but right answers is no reason to train again."""
    assert not QualityTrigger(reference=0.9, quiet_labels=100).add(np.ones(2000, np.bool_))


@pytest.mark.parametrize(
    ("reference", "tolerance", "quiet_labels"), [(0.0, 0.01, 100), (1.2, 0.0, 100), (0.9, 0.0, 1), (0.9, 0.0, np.inf)]
)
def test_a_trigger_that_cannot_be_is_refused(reference: float, tolerance: float, quiet_labels: float) -> None:
    """An accuracy with nothing below it, or no bound on needless triggers, is an error with the value in it."""
    with pytest.raises(FairleadError):
        QualityTrigger(reference=reference, tolerance=tolerance, quiet_labels=quiet_labels)
