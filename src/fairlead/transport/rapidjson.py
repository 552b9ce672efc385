"""What RapidJSON, with which TensorFlow Serving and Triton read JSON, makes of texts that are not quite JSON.

It takes bare NaN and Infinity, and of members with one name it finds the first. These are slow ways for the bodies that
need them, after orjson has judged all else.
"""

from __future__ import annotations

import json
import re
from typing import Any

__all__ = ["read_first", "read_tokens", "without_strings", "without_tokens"]

_STRING = rb'"(?:[^"\\]++|\\.)*+"?'  # possessive: a text without its last quote is still read in one go
_STRINGS = re.compile(_STRING, re.DOTALL)
_TOKEN = rb"(?<![\w.+-])-?(?:NaN|Inf(?:inity)?)(?![\w.])"
_STRINGS_AND_TOKENS = re.compile(rb"%b|%b" % (_STRING, _TOKEN), re.DOTALL)
_SAFE_DIGITS = 32  # more than 64 bits need, and no work


def without_strings(text: bytes) -> bytes:
    """`text` without what stands in quotes."""
    return _STRINGS.sub(b"", text)


def without_tokens(text: bytes) -> bytes:
    """`text` with a zero and spaces in the place of each bare NaN and Infinity, so that offsets stay as they are."""
    return _STRINGS_AND_TOKENS.sub(_zero, text) if _may_have_tokens(text) else text


def read_tokens(text: bytes) -> Any:
    """The value at the beginning of `text`, bare NaN and Infinity included.

    Args:
        text: JSON in UTF-8, once `without_tokens` has been through it; whatever follows it is ignored.
    """
    return _read(text, _PLAIN)


def read_first(text: bytes) -> Any:
    """As `read_tokens`, with the first of an object's members that have one name."""
    return _read(text, _FIRST)


def _read(text: bytes, decoder: json.JSONDecoder) -> Any:
    spelled = _STRINGS_AND_TOKENS.sub(_spelled, text) if _may_have_tokens(text) else text
    value, _ = decoder.raw_decode(spelled.decode("utf-8-sig").lstrip())
    return value


def _may_have_tokens(text: bytes) -> bool:
    return b"NaN" in text or b"Inf" in text


def _zero(match: re.Match[bytes]) -> bytes:
    return match[0] if match[0].startswith(b'"') else b"0".ljust(len(match[0]))


def _spelled(match: re.Match[bytes]) -> bytes:
    """A token as Python's parser knows it."""
    if match[0].startswith(b'"'):
        return match[0]
    return b"NaN" if match[0].endswith(b"NaN") else match[0].removesuffix(b"inity") + b"inity"


def _integer(digits: str) -> int | float:
    """What orjson makes of it: a float where 64 bits hold no such integer."""
    value = int(digits[:_SAFE_DIGITS])
    return value if len(digits) <= _SAFE_DIGITS and -(2**63) <= value < 2**64 else float(digits)


def _first(members: list[tuple[str, Any]]) -> dict[str, Any]:
    firsts: dict[str, Any] = {}
    for name, value in members:
        firsts.setdefault(name, value)
    return firsts


_PLAIN = json.JSONDecoder(parse_int=_integer)
_FIRST = json.JSONDecoder(parse_int=_integer, object_pairs_hook=_first)
