"""Other ways to write the same characters: full-width forms, other digits, spaces of all widths, none at all."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

__all__ = ["fold"]

_INVISIBLE = dict.fromkeys((0xAD, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, 0x200E, 0x200F, *range(0x202A, 0x202F)))
_DASHES = dict.fromkeys((*range(0x2010, 0x2016), 0x2212, 0xFE58, 0xFE63, 0xFF0D), "-")
_PLAIN = {0x2018: "'", 0x2019: "'", 0x201C: '"', 0x201D: '"', 0x2032: "'", 0x2033: '"', 0x3002: ".", 0xFF61: "."}


def fold(text: str) -> tuple[str, Sequence[int]]:
    """The text in plain characters, and where each of them stood; of ASCII nothing changes.

    >>> fold(chr(0xFF10) + "6" + chr(0x200B) + "12")
    ('0612', [0, 1, 3, 4, 5])
    """
    if text.isascii():
        return text, range(len(text) + 1)
    folded, places = [], []
    for place, character in enumerate(text):
        if ord(character) not in _INVISIBLE:
            folded.append(_plain(character))
            places.append(place)
    return "".join(folded), [*places, len(text)]


def _plain(character: str) -> str:
    if character.isascii():
        return character
    number = ord(character)
    if number in _DASHES:
        return "-"
    if number in _PLAIN:
        return _PLAIN[number]
    if character.isspace():
        return "\n" if character in "\u2028\u2029\x85" else " "
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    return chr(number - 0xFEE0) if 0xFF01 <= number <= 0xFF5E else character  # noqa: PLR2004 - the full-width forms
