"""A version is given as many rows at a time as it takes the least time a row for."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from fairlead.serving.run_size import RunSize


def run(
    size: RunSize, paces_s: Mapping[int, float], *, rows: int = 32, most: int = 32, batches: int = 2000
) -> list[int]:
    """Batches one after the other on a machine that takes so long a row by size; the sizes that were chosen."""
    chosen = []
    for _ in range(batches):
        part = size.choose(rows, most)
        chosen.append(part)
        for start in range(0, rows, part):
            given = min(part, rows - start)
            size.learn(given, given * paces_s[1 << given.bit_length() - 1])
    return chosen


U_SHAPED = {1: 1.4e-4, 2: 1.15e-4, 4: 1.05e-4, 8: 1e-4, 16: 1.1e-4, 32: 1.2e-4}
ALIKE = dict.fromkeys(U_SHAPED, 1e-4)
FALLING = {1: 32e-5, 2: 16e-5, 4: 8e-5, 8: 4e-5, 16: 2e-5, 32: 1e-5}


def test_the_fastest_size_is_found_and_kept() -> None:
    """From the largest down, within a hundred batches; later trials of others are rare."""
    chosen = run(RunSize(), U_SHAPED)
    assert 8 in chosen[:100]
    assert chosen[200:].count(8) > 0.95 * len(chosen[200:])


def test_larger_is_left_only_for_what_is_clearly_faster() -> None:
    """As long as all are alike, or smaller ones slower, nothing is split."""
    for paces_s in (ALIKE, FALLING):
        chosen = run(RunSize(), paces_s)
        assert chosen.count(32) > 0.9 * len(chosen)


def test_a_larger_size_is_found_again() -> None:
    """The machine may change."""
    size = RunSize()
    run(size, U_SHAPED)
    chosen = run(size, FALLING, batches=8000)
    assert chosen[-1000:].count(32) > 900


def test_small_batches_run_whole() -> None:
    """What is smaller than the size is not split but for a trial, and never tried to be larger than it is."""
    chosen = run(RunSize(), ALIKE, rows=3)
    assert sum(part >= 3 for part in chosen) > 0.9 * len(chosen)


@given(st.lists(st.tuples(st.integers(1, 300), st.sampled_from([1, 4, 8, 32, 256]), st.floats(1e-6, 1e-2))))
def test_no_run_is_larger_than_it_may_be(batches: list[tuple[int, int, float]]) -> None:
    """Whatever comes, and however the bound moves."""
    size = RunSize()
    for rows, most, seconds in batches:
        part = size.choose(rows, most)
        assert 1 <= part <= most
        size.learn(min(part, rows), seconds)
