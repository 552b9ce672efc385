"""Prediction ids are UUIDs of version 7 in order."""

import uuid
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from fairlead.serving.prediction_id import PredictionIds

MILLISECOND = 1_000_000


def test_an_id_is_a_uuid_of_version_7() -> None:
    """An id is the canonical text of a version 7 UUID of the RFC's variant."""
    text = PredictionIds()()
    parsed = uuid.UUID(text)
    assert (str(parsed), parsed.version, parsed.variant) == (text, 7, uuid.RFC_4122)


def test_the_example_of_the_rfc() -> None:
    """The bits lie as in RFC 9562, appendix A.6."""
    tail = 0xCC3 << 62 | 0x18C4DC0C0C07398F
    ids = PredictionIds(clock_ns=lambda: 0x017F22E279B0 * MILLISECOND, random_bits=lambda _: tail)
    assert ids() == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


@given(st.lists(st.integers(min_value=0, max_value=2**48 - 2), min_size=2, max_size=50))
def test_ids_grow_whatever_the_clock_does(milliseconds: list[int]) -> None:
    """Each id is greater than the one before it, even when the clock stands still or goes back."""
    clock = iter(milliseconds)
    ids = PredictionIds(clock_ns=lambda: next(clock) * MILLISECOND)
    made = [ids() for _ in milliseconds]
    assert made == sorted(set(made))


def test_ids_grow_when_the_tail_overflows() -> None:
    """A tail that is used up carries into the time instead of starting again."""
    ids = PredictionIds(clock_ns=lambda: MILLISECOND, random_bits=lambda bits: 2**bits - 1)
    made = [ids() for _ in range(3)]
    assert made == sorted(set(made))
    assert all(uuid.UUID(text).version == 7 for text in made)


def test_ids_from_several_threads_are_distinct() -> None:
    """Threads that share the maker never get the same id."""
    ids = PredictionIds()
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: ids(), range(2000)))
    assert len(set(made)) == len(made)
