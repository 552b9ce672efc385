"""What is taken out of texts, what stays, and how long it takes."""

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.redaction import redactor
from fairlead.redaction.redactor import FAILED, MAX_TEXT, find, redact

_UNITS = (
    *(
        "a",
        "1",
        "A ",
        "1 ",
        "a:",
        ":",
        "1.",
        "a.",
        "@",
        "@a.",
        "a@",
        '"',
        "'",
        "\\",
        "(",
        " ",
        "\t",
        "=",
        "\u200b",
        chr(0xFF10),
    ),
    *("+1 ", "020 7946 0018 ", "4111 ", "4111 1111 1111 1111 ", "DE89 ", "123-45-6789 ", "0123456789 ", "AB12", "ab:"),
    *(
        "password=",
        "password is ",
        "password='\\",
        "?token=",
        "bearer ",
        "cookie: a=",
        "x://",
        "a://b:",
        "eyJaaaaaaaa.",
    ),
    *("-----BEGIN PRIVATE KEY-----", "sk-", "AKIA", "Mr A ", "12 A ", "1 rue de A ", "rue de la ", "Aa-", "O'", "1°"),
    *("dob 1.1.", "lat 1.111,", "plate A ", "ssn 1 ", "tel 01 ", "[at]", "a[dot]", "@a[dot]", "my name is A ", "hf_"),
)


def test_what_is_found_is_named_in_its_place() -> None:
    """A reader sees what stood there, and the rest as it was."""
    said = "jo@example.org paid with 4111 1111 1111 1111; call +44 20 7946 0018"

    assert redact(said) == "<email> paid with <card>; call <phone>"


def test_places_are_those_of_the_text_as_it_came() -> None:
    """Full-width digits and characters that nobody sees do not hide a number."""
    said = "Karte: " + "4111\u200b111111111111".translate({digit: digit + 0xFEE0 for digit in range(0x30, 0x3A)}) + "!"

    (found,) = find(said)

    assert said[found.start : found.end] == said[7:-1]
    assert redact(said) == "Karte: <card>!"


@given(st.text())
def test_any_text_is_taken(said: str) -> None:
    """Whatever a client sent, nothing is raised, findings are in order, and none overlaps another."""
    found = find(said)

    assert redact(said) != FAILED
    assert all(one.start < one.end <= len(said) for one in found)
    assert all(one.end <= later.start for one, later in pairwise(found))


def test_what_cannot_be_looked_through_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault in a rule costs the text."""
    monkeypatch.setattr(redactor, "fold", lambda _: 1 / 0)

    assert redact("jo@example.org") == FAILED


def test_a_long_text_is_cut_between_words() -> None:
    """What follows is left out, as is a word that would be cut in half."""
    said = "word " * (MAX_TEXT // 5) + "jo@example.org and more"

    shown = redact(said)

    assert "example" not in shown
    assert shown.endswith(" more characters>")
    assert redact("a" * MAX_TEXT * 2) == f" <{2 * MAX_TEXT} more characters>"


@pytest.mark.parametrize("unit", _UNITS)
def test_no_text_takes_long(unit: str) -> None:
    """100 kB that were made to be slow take 40 ms of the processor at most."""
    said = (unit * 100_000)[:100_000]
    best = min(_seconds(said) for _ in range(5))

    assert best <= 0.040


def _seconds(said: str) -> float:
    began = time.process_time()
    redact(said)
    return time.process_time() - began
