"""Telephone numbers: with a country's code, in a country's own form, or where a word before tells."""

from __future__ import annotations

import re

from fairlead.redaction.finding import Category
from fairlead.redaction.rule import Rule, Span, follows, words

__all__ = ["RULES"]

_REGIONS = (
    *("GB", "DE", "FR", "IT", "ES", "NL", "BE", "AT", "CH", "PL", "SE", "NO", "DK", "FI", "IE", "PT", "CZ", "GR"),
    *("IN", "AU", "JP", "CN", "KR", "SG", "BR", "MX", "ZA", "TR"),
)
"""Whose numbers are known without their country's code; those of North America have a form of their own."""

_MIN_DIGITS, _MAX_DIGITS = 7, 15
_CALLED = words(
    *("tel", "tél", "telephone", "téléphone", "telefon(?:nummer)?", "teléfono", "telefone", "telefono", "ph"),
    *(
        "phone(?: ?(?:number|no))?",
        "mob(?:ile)?",
        "cell(?:phone)?",
        "handy",
        "móvil",
        "celular",
        "cellulare",
        "portable",
    ),
    *("gsm", "natel", "fax", "call(?:ed|ing)?", "ring", "dial", "whatsapp", "signal", "sms", "txt", "text(?:ed)?"),
    *("landline", "contact", "hotline", "helpline", "reach(?: me)?(?: (?:at|on))?", "rufnummer", "anrufen", "appelez"),
    *("llámame", "rappel", "msisdn", "numbers?"),
)
_OTHER = words(
    *(
        "order",
        "invoice",
        "tracking",
        "shipment",
        "parcel",
        "ref(?:erence)?",
        "ticket",
        "serial",
        "isbn",
        "issn",
        "ean",
    ),
    *(
        "gtin",
        "upc",
        "imei",
        "sku",
        "transaction",
        "trace",
        "span",
        "job",
        "batch",
        "run",
        "seed",
        "build",
        "bestellung",
    ),
    *("commande", "rechnung", "auftrag", "timestamp", "id", "hash", "offset", "bytes", "size", "ns", "us", "part"),
    *(
        "article",
        "model",
        "version",
        "pid",
        "rows?",
        "step",
        "epoch",
        "case",
        "account",
        "at",
        "until",
        "since",
        "port",
    ),
    *("time", "revision", "commit"),
)
_DATE = re.compile(
    r"(?:19|20)[0-9]{2}[-./ ](?:0?[1-9]|1[0-2])[-./ ](?:0?[1-9]|[12][0-9]|3[01])(?![0-9])"
    r"|(?:0?[1-9]|[12][0-9]|3[01])[-./ ](?:0?[1-9]|[12][0-9]|3[01])[-./ ](?:(?:19|20)[0-9]{2}(?![0-9])|[0-9]{2}\Z)"
)
_DECIMAL = re.compile(r"[0-9]+\.[0-9]+|[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?")
_ADDRESS = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_AMERICAN = re.compile(
    r"(?:1[ .-]?)?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}(?P<mark>[ .-]))[2-9][0-9]{2}(?(mark)(?P=mark)|[ .-])[0-9]{4}"
)
_TRUNK = re.compile(r"\(?0[1-9]")
_LONG = 9


def _phone(match: re.Match[str]) -> Span | None:
    text = match.group()
    digits = sum(character.isdigit() for character in text)
    if not _MIN_DIGITS <= digits <= _MAX_DIGITS or _DATE.match(text) or _ADDRESS.fullmatch(text):
        return None
    is_called = follows(match, _CALLED)
    if text.startswith("+"):
        is_one = _is_number(text, None) or (is_called and digits >= _LONG)
    elif not is_called and (_DECIMAL.fullmatch(text) or follows(match, _OTHER, within=20)):
        is_one = False
    elif text.startswith("00"):
        is_one = _is_number(f"+{text[2:]}", None)
    else:
        is_one = _is_national(text, is_called=is_called)
    return match.span() if is_one else None


def _is_national(text: str, *, is_called: bool) -> bool:
    """Whether it is a number as it is dialled within a country; without its form a word before must tell."""
    if _AMERICAN.fullmatch(text):
        return is_called or _is_number(text, "US")
    if _TRUNK.match(text) or text.startswith("("):
        return is_called or _is_anywhere(text)
    return is_called and (_is_number(text, "US") or _is_anywhere(text))


def _is_anywhere(text: str) -> bool:
    return any(_is_number(text, region) for region in _REGIONS)


def _is_number(text: str, region: str | None) -> bool:
    import phonenumbers  # noqa: PLC0415 - most processes never meet what could be a telephone number

    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(text, region))
    except phonenumbers.NumberParseException:
        return False


RULES = (
    Rule(
        category=Category.PHONE,
        pattern=re.compile(
            r"(?<![\w.,+/#-])(?<![0-9][ :])(?:\+|%2B)?\(?[0-9](?:[ ().\-/\t]{0,3}[0-9]){6,16}"
            r"(?![0-9])(?![ .,:-]?[0-9]|[-_][A-Za-z])",
        ),
        check=_phone,
        limit=40,
    ),
    Rule(
        category=Category.PHONE,
        pattern=re.compile(
            r"(?<![^\W_])(?:tel|sms|callto|whatsapp):(?P<value>\+?[0-9][0-9().-]{5,20}[0-9])", re.IGNORECASE
        ),
    ),
)
