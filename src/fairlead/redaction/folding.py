"""Other ways to write the same characters: escapes, full-width forms, other digits, other spaces, none at all."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterator, Sequence

__all__ = ["fold"]

_INVISIBLE = dict.fromkeys((0xAD, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, 0x200E, 0x200F, *range(0x202A, 0x202F)))
_DASHES = dict.fromkeys((*range(0x2010, 0x2016), 0x2212, 0xFE58, 0xFE63, 0xFF0D), "-")
_PLAIN = {0x2018: "'", 0x2019: "'", 0x201C: '"', 0x201D: '"', 0x2032: "'", 0x2033: '"', 0x3002: ".", 0xFF61: "."}


_ESCAPES = re.compile(
    r"(?P<percent>(?:%[0-9A-Fa-f]{2})+)|\\u(?P<json>[0-9A-Fa-f]{4})|&#(?:x(?P<hex>[0-9A-Fa-f]{1,5})|(?P<dec>[0-9]{1,6}));"
)


def fold(text: str) -> tuple[str, Sequence[int]]:
    """The text in plain characters, and where each of them begins; of plain ASCII nothing changes.

    >>> fold(chr(0xFF10) + "6" + chr(0x200B) + "12")
    ('0612', [0, 1, 3, 4, 5])
    >>> fold("a%40b")
    ('a@b', [0, 1, 4, 5])
    """
    is_escaped = "%" in text or "\\u" in text or "&#" in text
    if text.isascii() and not is_escaped:
        return text, range(len(text) + 1)
    folded, places = [], []
    for place, character in _unescaped(text) if is_escaped else enumerate(text):
        if ord(character) not in _INVISIBLE:
            folded.append(_plain(character))
            places.append(place)
    return "".join(folded), [*places, len(text)]


def _unescaped(text: str) -> Iterator[tuple[int, str]]:
    """The characters as URLs, JSON and HTML mean them, each with the place where it begins."""
    end = 0
    for match in _ESCAPES.finditer(text):
        yield from enumerate(text[end : match.start()], end)
        end = match.end()
        if (percent := match["percent"]) is None:
            number = int(match["json"] or match["hex"] or "0", 16) or int(match["dec"] or "0")
            yield match.start(), chr(number) if number <= sys.maxunicode else "\ufffd"
            continue
        place = match.start()
        for character in bytes.fromhex(percent.replace("%", "")).decode(errors="surrogateescape"):
            yield place, character
            place += 3 * len(character.encode(errors="surrogateescape"))
    yield from enumerate(text[end:], end)


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
