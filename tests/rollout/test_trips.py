"""Faults that need no statistics, and what is not held against the candidate."""

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fairlead.rollout.trips import Trips

ROWS = st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), max_size=60)


def folded(rows: str) -> Trips:
    """Rows as letters: s, c answered; S, C failed; n, N answered with NaN (stable, candidate)."""
    trips = Trips()
    candidate, error = [row in "cCN" for row in rows], [row in "SC" for row in rows]
    trips.add(np.array(candidate), np.array(error), np.array([row in "nN" for row in rows]))
    return trips


def test_three_answers_with_nan_trip() -> None:
    """Two may be the inputs' fault; a third is the candidate's, when the stable version gave none."""
    assert not folded("ssNsNs").non_finite
    assert folded("ssNsNsN").non_finite


def test_an_input_that_breaks_both_versions_is_not_held_against_the_candidate() -> None:
    """When the stable version answered with NaN too, a caller may have sent it."""
    assert not folded("nNNNNN").non_finite


def test_five_failures_in_a_row_trip() -> None:
    """With the stable version answering meanwhile; one answer in between begins anew."""
    assert not folded("CsCsssCssCsss").all_errors
    assert folded("CsCsssCssCsssC").all_errors
    assert not folded("CsCssscCssCsssCsC").all_errors


def test_an_outage_of_both_is_not_held_against_the_candidate() -> None:
    """When the stable version fails as well, or nothing is known of it, nothing trips; nor just after."""
    assert not folded("CSCSSSCSSCSSSC").all_errors
    assert not folded("CCCCCCC").all_errors
    assert not folded("CSSCSSCSSCSSCSSSSsssssssc").all_errors


@given(rows=ROWS, cuts=st.lists(st.integers(0, 60), max_size=6))
def test_rows_may_be_folded_in_any_pieces(rows: list[tuple[bool, bool, bool]], cuts: list[int]) -> None:
    """All at once, in pieces, or through JSON between them: the same."""
    table = np.array(rows, np.bool_).reshape(-1, 3)
    whole, pieces = Trips(), Trips()
    whole.add(*table.T)
    for piece in np.split(table, sorted(min(cut, len(table)) for cut in cuts)):
        pieces.add(*piece.T)
        pieces = Trips.from_json(json.loads(json.dumps(pieces.to_json())))

    assert pieces == whole
