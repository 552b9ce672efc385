"""The bound on a loss of accuracy holds as often as it says."""

import numpy as np
import pytest

from fairlead.errors import FairleadError
from fairlead.significance.shares import paired_loss_bound


@pytest.mark.parametrize(("lost", "won"), [(0.002, 0.002), (0.011, 0.001), (0.02, 0.03)])
def test_the_true_loss_is_below_the_bound_in_at_least_about_95_of_100(lost: float, won: float) -> None:
    """Of 4,000 samples of 2,000 rows each; also where few rows tell the models apart."""
    samples = np.random.default_rng(0).multinomial(2000, [lost, won, 1 - lost - won], size=4000)
    held = [paired_loss_bound(int(b), int(c), 2000) >= lost - won for b, c, _ in samples]

    assert 0.94 <= np.mean(held) <= 0.98


def test_rows_that_all_agree_rule_out_only_what_they_could_have_shown() -> None:
    """Where no row tells the models apart the score test has a closed form: z^2 / (n + z^2)."""
    assert (
        paired_loss_bound(1, 0, 43)
        > paired_loss_bound(0, 0, 43)
        == pytest.approx(1.6449**2 / (43 + 1.6449**2), rel=1e-4)
    )
    assert paired_loss_bound(0, 43, 43) < -0.8


def test_counts_that_cannot_be_are_refused() -> None:
    """More rows that disagree than there are rows."""
    with pytest.raises(FairleadError):
        paired_loss_bound(3, 3, 5)
