r"""Messages in which a person has marked what is about a person or a secret, and how much of it is found.

A line is a message, `[[category:text]]` marks what must go. `\n`, `\t` and `\uXXXX` stand for the characters; `\&` for
nothing: it keeps those who look for lost keys from taking these, which were made up, for some.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fairlead.redaction.finding import Category, Finding
from fairlead.redaction.redactor import find

_MARK = re.compile(r"\[\[(?P<category>[a-z ]+):(?P<text>.*?)\]\](?!\])")
_ESCAPE = re.compile(r"\\(?:(?P<plain>[nt&])|u(?P<code>[0-9a-f]{4}))")
_PLAIN = {"n": "\n", "t": "\t", "&": ""}
_GONE = 0.9
_OWN = 0.5


@dataclass(frozen=True, kw_only=True)
class Message:
    """A text, and where what must go stands in it."""

    text: str
    marks: tuple[Finding, ...]


@dataclass(kw_only=True)
class Measured:
    """What the rules did to messages.

    Attributes:
        marked, missed: marks by category; one is missed unless nine tenths of its characters are gone.
        right, wrong: findings by category; one is wrong when most of it was not marked.
        faults: what was missed or taken, for people.
    """

    marked: dict[Category, int] = field(default_factory=lambda: dict.fromkeys(Category, 0))
    missed: dict[Category, int] = field(default_factory=lambda: dict.fromkeys(Category, 0))
    right: dict[Category, int] = field(default_factory=lambda: dict.fromkeys(Category, 0))
    wrong: dict[Category, int] = field(default_factory=lambda: dict.fromkeys(Category, 0))
    faults: list[str] = field(default_factory=list)

    def recall(self, categories: Sequence[Category]) -> float:
        """Of the marks in the categories, the share that is gone."""
        marked = sum(self.marked[each] for each in categories)
        return 1 - sum(self.missed[each] for each in categories) / marked

    @property
    def precision(self) -> float:
        """Of all that was taken, the share that had to go."""
        right, wrong = sum(self.right.values()), sum(self.wrong.values())
        return right / (right + wrong)

    def __str__(self) -> str:
        rows = [
            f"{each:14} {self.marked[each] - self.missed[each]:4} of {self.marked[each]:4}, {self.wrong[each]:3} wrong"
            for each in Category
        ]
        return "\n".join([*rows, f"precision {self.precision:.4f}", *self.faults])


def read_messages(path: Path) -> Iterator[Message]:
    """The messages of a file; lines that begin with `#` say what follows."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("# "):
            yield _message(line)


def _message(line: str) -> Message:
    parts: list[str] = []
    marks = []
    end = 0
    for match in _MARK.finditer(line):
        parts.append(_plain(line[end : match.start()]))
        start, marked = sum(map(len, parts)), _plain(match["text"])
        parts.append(marked)
        marks.append(Finding(start, start + len(marked), Category(match["category"])))
        end = match.end()
    return Message(text="".join([*parts, _plain(line[end:])]), marks=tuple(marks))


def _plain(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match["code"], 16)) if match["code"] else _PLAIN[match["plain"]], text)


def measure(messages: Sequence[Message]) -> Measured:
    """Hold what is found against what is marked."""
    measured = Measured()
    for message in messages:
        found = find(message.text)
        for mark in message.marks:
            measured.marked[mark.category] += 1
            if _shared(mark, found) < _GONE * (mark.end - mark.start):
                measured.missed[mark.category] += 1
                measured.faults.append(f"missed {mark.category}: {message.text!r}")
        for one in found:
            is_right = _shared(one, message.marks) >= _OWN * (one.end - one.start)
            (measured.right if is_right else measured.wrong)[one.category] += 1
            if not is_right:
                measured.faults.append(f"wrong {one.category} {message.text[one.start : one.end]!r}: {message.text!r}")
    return measured


def _shared(one: Finding, others: Sequence[Finding]) -> int:
    """How many characters of `one` are in the others too."""
    return sum(max(0, min(one.end, other.end) - max(one.start, other.start)) for other in others)
