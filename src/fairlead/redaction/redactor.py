"""Texts without what is about a person, and without secrets."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fairlead.redaction import accounts, credentials, documents, identities, names, network, phones, places
from fairlead.redaction.finding import Category, Finding
from fairlead.redaction.folding import fold
from fairlead.redaction.rule import Rule

__all__ = ["FAILED", "MAX_TEXT", "find", "redact"]

FAILED = "<redaction failed>"
MAX_TEXT = 16_384
"""Of a longer text no more is looked through, so that it takes milliseconds; the rest is left out."""

_SOME_DIGITS = re.compile(r"[0-9](?:[^0-9\n]{0,3}[0-9]){5}")
_DIGIT = re.compile(r"[0-9]")
_CAPITAL = re.compile(r"[A-ZÀ-ÖØ-ÞĀ-Ž]")
_LONG_WORD = re.compile(r"[0-9A-Za-z]{26}")
_CALLED_ID = re.compile(
    r"(?:[A-Za-z°º.][\"']?[ :=#]{1,3}(?:[a-zèé]{1,6} )?[\"']?|[^\x00-\u02ff][:\"' ]{0,3})[A-Z]{0,9}[0-9]",
    re.IGNORECASE,
)
_NUMBER_RULES = (*accounts.RULES, *identities.RULES, *phones.RULES)


def find(text: str) -> list[Finding]:
    """What there is to take out of the text, in its order; none overlaps another."""
    folded, places = fold(text)
    found = [
        Finding(places[start], places[end], rule.category)
        for rule in _rules_for(folded)
        for start, end in rule.spans(folded)
        if end > start
    ]
    return _merged(found)


def redact(text: str) -> str:
    """The text with each thing that was found replaced by the name of what it was. Whatever happens, it does not raise.

    >>> redact("jo@example.org paid with 4111 1111 1111 1111 from 198.51.100.7")
    '<email> paid with <card> from <ip address>'
    >>> redact("digits version 3 is ready in 0.25 s")
    'digits version 3 is ready in 0.25 s'
    """
    if len(text) > MAX_TEXT:
        return _cut(text)
    try:
        found = find(text)
    except Exception:  # noqa: BLE001 - what cannot be looked through is not written down
        return FAILED
    if not found:
        return text
    parts, end = [], 0
    for one in found:
        parts += [text[end : one.start], f"<{one.category}>"]
        end = one.end
    return "".join([*parts, text[end:]])


def _cut(text: str) -> str:
    """The beginning of a long text, up to a space: half an address might not be known for one."""
    head = text[:MAX_TEXT].rsplit(maxsplit=1)[0] if text[:MAX_TEXT].split(maxsplit=1)[1:] else ""
    return f"{redact(head[:MAX_TEXT])} <{len(text) - len(head)} more characters>"


def _rules_for(text: str) -> Sequence[Rule]:
    """The rules that may find anything: most lines have nothing that any of them looks for."""
    lower = text.lower()
    rules: list[Rule] = []
    if _has_any(credentials.HINTS, lower):
        rules += credentials.RULES
    if "@" in text or "at" in lower:
        rules += network.MAIL_RULES
    if max(text.count(mark) for mark in ":.-") > 1:
        rules += network.RULES
    if "bic" in lower or "swift" in lower:
        rules += accounts.BANK_RULES
    if _LONG_WORD.search(text):
        rules += accounts.WALLET_RULES
    if _DIGIT.search(text):
        rules += _rules_for_digits(text, lower)
    if _CAPITAL.search(text) and _has_any(names.HINTS, lower):
        rules += names.RULES
    return rules


def _rules_for_digits(text: str, lower: str) -> Sequence[Rule]:
    rules: list[Rule] = []
    if _SOME_DIGITS.search(text):
        rules += _NUMBER_RULES
    if _CALLED_ID.search(text):
        rules += identities.NAMED_RULES
    if _has_any(documents.HINTS, lower):
        rules += documents.RULES
    if _has_any(places.HINTS, lower):
        rules += places.RULES
    return rules


def _has_any(hints: Sequence[str], lower: str) -> bool:
    return any(hint in lower for hint in hints)


def _merged(found: list[Finding]) -> list[Finding]:
    """Those that overlap become one, of the category of the longest."""
    merged: list[Finding] = []
    for one in sorted(found):
        if merged and one.start < merged[-1].end:
            last = merged[-1]
            longer: Category = max(last, one, key=lambda each: each.end - each.start).category
            merged[-1] = Finding(last.start, max(last.end, one.end), longer)
        else:
            merged.append(one)
    return merged
