"""A share of the keys is the candidate's, and a key stays where it is."""

from __future__ import annotations

import doctest
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

import fairlead.serving.assignment
from fairlead.serving.assignment import place


def test_a_tenth_of_the_keys_is_a_tenth() -> None:
    """Of 100,000 keys, 10 % within half a point lie below 0.1, whatever the salt."""
    for salt in ("", "rollout-1", "0192f2a0-7c1e-7000-8000-000000000000"):
        share = sum(place(salt, f"user-{number}") < 0.1 for number in range(100_000)) / 100_000
        assert abs(share - 0.1) < 0.005


def test_a_key_lies_where_it_lies_in_every_process() -> None:
    """Other processes, with other seeds for Python's own hashes, put each key at the same place."""
    code = "from fairlead.serving.assignment import place; print([place('s', str(k)) for k in range(200)])"
    here = str([place("s", str(key)) for key in range(200)])
    for seed in ("0", "1"):
        run = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        )
        assert run.stdout.strip() == here


@given(salt=st.text(max_size=200), key=st.text(max_size=200))
def test_any_key_has_a_place(salt: str, key: str) -> None:
    """Whatever text a client sends as its key, lone surrogates included, lies from 0 up to 1."""
    assert 0.0 <= place(salt, key) < 1.0


def test_rollouts_deal_anew() -> None:
    """Who was in the candidate's tenth of one rollout is in that of the next by chance alone."""
    both = sum(place("a", str(key)) < 0.1 and place("b", str(key)) < 0.1 for key in range(100_000))
    assert 800 < both < 1_200


def test_the_example_is_true() -> None:
    """The docstring shows what the function gives."""
    result = doctest.testmod(fairlead.serving.assignment)
    assert (result.failed, result.attempted) == (0, 1)
