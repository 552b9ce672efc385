"""A version is given as many rows at a time as it takes the least time a row for."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from fairlead.serving.run_size import _SIZES, RunSize, parts_of


def run(size: RunSize, paces_s: Mapping[int, float], *, rows: int = 32, batches: int = 4000) -> list[int]:
    """Batches one after the other on a machine that takes so long a row by size; the sizes that were chosen."""
    chosen = []
    for batch in range(batches):
        part = size.choose(rows, 32)
        chosen.append(part)
        count = parts_of(rows, part)
        for number in range(count):
            given = rows // count
            pace_s = paces_s[max(known for known in paces_s if known <= given)]
            disturbance = 50 if batch % 20 == number else 1
            size.learn(part, given, given * pace_s * disturbance)
    return chosen


U_SHAPED = dict(zip((1, 2, 3, 4, 6, 8, 12, 16, 24, 32), (14, 12, 11, 10.5, 10.3, 10, 10.5, 11, 12, 13), strict=True))
ALIKE = dict.fromkeys(U_SHAPED, 1e-4)
FALLING = {size: 1e-4 / size for size in U_SHAPED}


def test_the_fastest_size_is_found_and_kept() -> None:
    """From the largest down, within some hundred batches; later trials of others are rare."""
    parts = [parts_of(32, size) for size in run(RunSize(), U_SHAPED)]
    assert 3 in parts[:500], "parts of ten take as long a row as the best, eight"
    assert parts[1000:].count(3) > 0.95 * len(parts[1000:])


def test_larger_is_left_only_for_what_is_clearly_faster() -> None:
    """As long as all are alike, or smaller ones slower, nothing is split."""
    for paces_s in (ALIKE, FALLING):
        chosen = run(RunSize(), paces_s)
        assert chosen.count(32) > 0.9 * len(chosen)


def test_a_larger_size_is_found_again() -> None:
    """The machine may change."""
    size = RunSize()
    run(size, U_SHAPED)
    chosen = run(size, FALLING, batches=12_000)
    assert chosen[-1000:].count(32) > 900


def test_small_batches_run_whole() -> None:
    """What is smaller than the size is not split but for a trial, and never tried to be larger than it is."""
    chosen = run(RunSize(), ALIKE, rows=3)
    assert sum(part >= 3 for part in chosen) > 0.9 * len(chosen)


@given(st.lists(st.tuples(st.integers(1, 300), st.sampled_from([1, 4, 7, 32, 256, 1000]), st.floats(1e-6, 1e-2))))
def test_no_run_is_larger_than_it_may_be(batches: list[tuple[int, int, float]]) -> None:
    """Whatever comes, and however the bound moves."""
    size = RunSize()
    for rows, most, seconds in batches:
        part = size.choose(rows, most)
        assert 1 <= part <= most
        assert part in _SIZES
        for _ in range(rows // part):
            size.learn(part, part, seconds)
