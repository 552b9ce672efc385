"""Features of a text: how long it is and what it is made of. Nothing of the text itself can be read from them."""

from __future__ import annotations

import math
import re
import string
import zlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from fairlead.servable.signature import Tensors

__all__ = ["TextFeatures", "vocabulary_of"]

_NAMES = ("length", "words", "digits", "upper_case", "punctuation", "non_ascii")
_NEW_WORDS = "new_words"
_WORD = re.compile(r"\w+")


def _kinds() -> bytes:
    """For each byte of UTF-8 the kind it is counted as; bytes that go on a character begun before are `-`."""
    kinds = bytearray(b" " * 256)
    kinds[0x80:0xC0] = b"-" * 0x40
    kinds[0xC0:] = b"n" * 0x40
    for kind, members in ((b"d", string.digits), (b"u", string.ascii_uppercase), (b"p", string.punctuation)):
        for member in members.encode():
            kinds[member] = kind[0]
    return bytes(kinds)


_KINDS = _kinds()


class TextFeatures:
    """Length in characters, words, and the shares of characters that are digits, upper case, punctuation, non-ASCII.

    Upper case and punctuation are those of ASCII. With a vocabulary there is one more, `new_words`: the share of words
    that it lacks. A text without characters or without words has shares of 0.

    Args:
        name: the input's.
        vocabulary: of `vocabulary_of`; empty for none.
    """

    def __init__(self, name: str, vocabulary: frozenset[int] = frozenset()) -> None:
        self._name = name
        self._vocabulary = vocabulary
        self.names = (*_NAMES, _NEW_WORDS) if vocabulary else _NAMES

    def measure(self, inputs: Tensors) -> NDArray[np.float32]:
        texts = inputs[self._name].reshape(-1)
        return np.array([self._row(text) for text in texts], np.float32).reshape(len(texts), len(self.names))

    def _row(self, text: object) -> tuple[float, ...]:
        if isinstance(text, bytes):
            text = text.decode(errors="replace")
        if not isinstance(text, str):
            return (math.nan,) * len(self.names)
        found = _of_characters(text)
        return (*found, self._new_words(text)) if self._vocabulary else found

    def _new_words(self, text: str) -> float:
        words = _WORD.findall(text.lower())
        return sum(_digest(word) not in self._vocabulary for word in words) / max(len(words), 1)


def vocabulary_of(texts: Iterable[str]) -> frozenset[int]:
    """The words of `texts` in lower case, each as its CRC-32, so that a file can keep them without telling them.

    One word in some 500,000 passes for known because another of 9,000 has its number.
    """
    return frozenset(_digest(word) for text in texts for word in _WORD.findall(text.lower()))


def _of_characters(text: str) -> tuple[float, ...]:
    kinds = text.encode(errors="replace").translate(_KINDS)
    size = max(len(text), 1)
    counts = (kinds.count(kind) / size for kind in (b"d", b"u", b"p", b"n"))
    return (len(text), len(text.split()), *counts)


def _digest(word: str) -> int:
    return zlib.crc32(word.encode(errors="replace"))
