"""Names of people, where the words around tell: a title, a greeting, "my name is", a field that holds a name."""

from __future__ import annotations

import re

from fairlead.redaction.finding import Category
from fairlead.redaction.rule import Rule, Span, value_of, words

__all__ = ["HINTS", "RULES"]

_PART = r"(?:(?:[dDlLO]'|Mc|Mac)?[A-ZÀ-ÖØ-ÞĀ-Ž][^\W\d_]*(?:[-'][A-ZÀ-ÖØ-Þ]?[^\W\d_]+)*|[A-Z]\.)"
_SMALL = r"(?:van der|van den|van|von der|von|de la|de los|de|del|della|di|da|dos|du|le|la|ten|ter|zu|bin|al|el|y|e)"
_NAME = rf"{_PART}(?: (?:{_SMALL} )?{_PART}){{0,3}}"
_NAMES = rf"{_PART}(?: (?:{_SMALL} )?{_PART}){{1,3}}"
_TITLES = (
    r"Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Sir|Dame|Lord|Lady|Herrn?|Frau|Monsieur|Madame|Mme|Mlle|Señora?|Sra|Srta|"
    r"Signora?|Sig|Dott|Senhora?|Mevr|Mevrouw|Meneer|Dhr"
)
_GREETINGS = r"[Dd]ear|[Hh]i|[Hh]ello|[Ll]ieber?|[Cc]her|[Cc]hère|[Ee]stimad[oa]|[Cc]ar[oa]|[Bb]este"
_I_AM = (
    r"[Mm]y (?:full |last |first )?name is|[Ii] am called|[Mm]ein [Nn]ame ist|[Ii]ch hei(?:ß|ss)e|[Jj]e m'appelle|"
    r"[Mm]e llamo|[Mm]i nombre es|[Mm]i chiamo|[Mm]eu nome é|[Mm]ijn naam is|[Nn]azywam się"
)
_FAREWELLS = r"[Rr]egards|[Ss]incerely|[Cc]heers|[Gg]rüße|[Ss]aludos|[Cc]ordialement"
_FIELDS = (
    r"(?:full|first|last|given|family|middle|maiden|customer|client|patient|holder|cardholder|contact|account|employee|"
    r"user|display|sur|fore)[ _-]?name|nachname|vorname|nom de famille|prénom|apellidos?|cognome|patient|cardholder|"
    r"name of the (?:patient|customer|holder)"
)
_NO_NAME = words(
    r"customers?|sirs?|madam|all|team|users?|friends?|colleagues?|valued|clients?|subscriber|members?|everyone|hiring",
    r"students?|parents|guests?|voucher|winner|award|the|my|santa|god|lord|data|models?|api|world|love|ones?|not|just",
    r"here|no|your?|happy|sorry|sure|going|at|in|on|is|an?|ur?|i|me|mum|mom|dad|bro|sis|boy|girl",
)


def _person(match: re.Match[str]) -> Span | None:
    return None if _NO_NAME.match(match["value"]) else value_of(match)


def _rule(pattern: str, flags: int = 0) -> Rule:
    return Rule(category=Category.NAME, pattern=re.compile(pattern, flags), check=_person)


HINTS = (
    *("mr", "ms", "miss", "mx", "dr", "prof", "sir", "dame", "lord", "lady", "herr", "frau", "madame", "mme", "mlle"),
    *("monsieur", "señor", "sr", "signor", "sig", "dott", "senhor", "mev", "meneer", "dhr", "dear", "hi ", "hello"),
    *("lieb", "cher", "chère", "estimad", "caro", "cara", "beste", "name", "called", "hei", "appelle", "llamo"),
    *("nombre", "chiamo", "naam", "nazywam", "nome é", "regards", "sincerely", "cheers", "grüße", "saludos"),
    *("cordialement", "nom de", "prénom", "apellido", "patient", "cardholder"),
)
"""One of these is in every text, in lower case, in which the rules find anything."""

RULES = (
    _rule(rf"(?<![\w.])(?:{_TITLES})\.?(?: (?:Dr|Prof)\.?)? (?P<value>{_NAME})"),
    _rule(rf"(?<!\w)(?:{_GREETINGS}) (?P<value>{_NAME})(?=\s?[,!:\n]|\s?\Z)"),
    _rule(rf"(?<!\w)(?:{_I_AM}) (?P<value>{_NAME})"),
    _rule(rf"(?<!\w)(?:{_FAREWELLS}),?\s{{1,3}}(?P<value>{_NAMES})(?=\s?\Z|\s?\n)"),
    _rule(
        rf"(?<![A-Za-z])(?:{_FIELDS})[\"']?(?: is |\s?[:=]\s?)[\"']?(?P<value>(?-i:{_NAME}))",
        re.IGNORECASE,
    ),
)
