"""E-mail addresses, and addresses of machines."""

from __future__ import annotations

import ipaddress
import re

from fairlead.redaction.finding import Category
from fairlead.redaction.rule import Rule, Span, follows, value_of

__all__ = ["MAIL_RULES", "RULES"]

_AT = r"(?:@|\s?[\[({]\s?at\s?[\])}]\s?)"
_DOT = r"(?:\.|\s?[\[({]\s?dot\s?[\])}]\s?)"
_DOMAIN = rf"(?:[^\W_](?:[\w-]{{0,61}}[^\W_])?{_DOT}){{1,6}}(?P<top>[^\W\d_]{{2,24}}|xn--[a-z0-9-]{{2,59}})"
_LITERAL = r"\[[0-9A-Fa-f.:IPv]{7,50}\]"
_BACKWARDS = re.compile(r"(?:\"[^\"\n]{1,62}\"|[\w.%'+-]{1,64})")
_IN_URL = re.compile(r"://[^\s/@]*\Z")
"""A user and a password stand there: a secret."""
_LONGEST = 64
_FILES = frozenset({"png", "jpg", "jpeg", "gif", "svg", "webp", "ico", "css"})
_MACHINES = frozenset({"git"})


def _mailbox(match: re.Match[str]) -> Span | None:
    """The address around an at sign; what stands before it is read backwards, so that time stays linear."""
    if (match["top"] or "").lower() in _FILES:
        return None
    before = match.string[max(0, match.start() - _LONGEST) : match.start()]
    if _IN_URL.search(before):
        return None
    found = _BACKWARDS.match(before[::-1])
    name = found.group()[::-1].lstrip("'.%+-") if found else ""
    return (match.start() - len(name), match.end()) if name and name.lower() not in _MACHINES else None


_VERSION = re.compile(r"(?:[A-Za-z_]/|\bv|\bver\.?|\bversion|\brelease|\bbuild|[=~<>!]=|\bOID:?)\s*\Z", re.IGNORECASE)


def _ipv4(match: re.Match[str]) -> Span | None:
    try:
        address = ipaddress.IPv4Address(match.group())
    except ValueError:
        return None
    if address.is_loopback or address.is_unspecified or match.group() == "255.255.255.255":
        return None
    return None if follows(match, _VERSION, within=12) else match.span()


def _ipv6(match: re.Match[str]) -> Span | None:
    text = match.group().rstrip(":.") if not match.group().endswith("::") else match.group()
    if not any(character.isdigit() for character in text):
        return None
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        return None
    return None if address.is_loopback or address.is_unspecified else (match.start(), match.start() + len(text))


def _mac(match: re.Match[str]) -> Span | None:
    digits = {character for character in match.group().lower() if character.isalnum()}
    return None if digits in ({"0"}, {"f"}) else value_of(match)


MAIL_RULES = (
    Rule(category=Category.EMAIL, pattern=re.compile(rf"{_AT}(?:{_DOMAIN}|{_LITERAL})", re.IGNORECASE), check=_mailbox),
)
RULES = (
    Rule(
        category=Category.IP_ADDRESS,
        pattern=re.compile(r"(?<![\w.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?!\w|\.[0-9])"),
        check=_ipv4,
    ),
    Rule(
        category=Category.IP_ADDRESS,
        pattern=re.compile(r"(?<![\w:.])(?=[0-9A-Fa-f]{0,4}:[0-9A-Fa-f]{0,4}:)[0-9A-Fa-f:.]{3,45}(?![\w:])"),
        check=_ipv6,
    ),
    Rule(
        category=Category.MAC_ADDRESS,
        pattern=re.compile(r"(?<![\w:-])[0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}(?![\w:-])"),
        check=_mac,
    ),
    Rule(
        category=Category.MAC_ADDRESS,
        pattern=re.compile(r"(?<![\w.])(?:[0-9A-Fa-f]{4}\.){2}[0-9A-Fa-f]{4}(?![\w.])"),
        check=lambda match: match.span() if any(c.isalpha() for c in match.group()) else None,
    ),
)
