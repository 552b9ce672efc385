"""How one kind of thing is told: a pattern, and a check of what it matches."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from fairlead.redaction.finding import Category

__all__ = ["Check", "Rule", "Span", "follows", "hints", "value_of", "words"]

Span = tuple[int, int]
Check = Callable[[re.Match[str]], Span | None]
_BEFORE = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One kind of thing.

    Attributes:
        category: what it is.
        pattern: matches candidates in linear time; its group `value`, if it has one, is what is taken out.
        check: where exactly the thing stands, or None where the candidate is none. None takes all candidates.
        limit: how many candidates of a text are checked; those after them are taken for what they look like.
    """

    category: Category
    pattern: re.Pattern[str]
    check: Check | None = None
    limit: int = 200

    def spans(self, text: str) -> list[Span]:
        """Where the text has such things."""
        found: list[Span] = []
        checked = 0
        for match in self.pattern.finditer(text):
            if self.check is None or checked >= self.limit:
                found.append(value_of(match))
                continue
            checked += 1
            if (span := self.check(match)) is not None:
                found.append(span)
        return found


def value_of(match: re.Match[str]) -> Span:
    """Where the group `value` stands, or the whole match when it has no such group."""
    return match.span("value") if "value" in match.re.groupindex else match.span()


def hints(texts: str) -> tuple[str, ...]:
    """Texts, separated by commas, of which one must occur where a rule is worth trying."""
    return tuple(texts.split(","))


def words(*alternatives: str) -> re.Pattern[str]:
    """A pattern that finds any of the alternatives, which are patterns, as whole words in any case."""
    return re.compile(rf"(?<![^\W_])(?:{'|'.join(alternatives)})(?![^\W_])", re.IGNORECASE)


def follows(match: re.Match[str], context: re.Pattern[str], *, within: int = _BEFORE) -> bool:
    """Whether `context` is found in the characters before what matched, on the same line."""
    start = match.start()
    before = match.string[max(0, start - within) : start]
    return context.search(before.rpartition("\n")[2]) is not None
