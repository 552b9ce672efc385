"""How details name things."""

from fairlead.gate.wording import listed, points


def test_five_labels_are_listed_and_the_rest_counted() -> None:
    """Up to five labels are named; of more, five are named and the others counted."""
    assert listed(list("abcde")) == "'a', 'b', 'c', 'd', 'e'"
    assert listed(list("abcdef")) == "'a', 'b', 'c', 'd', 'e' and 1 more"


def test_a_label_cannot_break_the_line() -> None:
    """A label's control characters are shown escaped."""
    assert listed(["a\n\x1b[31m"]) == r"'a\n\x1b[31m'"


def test_a_small_distance_is_not_rounded_to_zero() -> None:
    """However close to its threshold a figure is, the distance is told."""
    assert points(1e-6) == "0.0001 points"


def test_one_point_is_singular() -> None:
    """One percentage point is one point."""
    assert points(0.98 - 0.97) == "1 point"
