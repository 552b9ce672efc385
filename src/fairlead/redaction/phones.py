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
    r"t[eé]l(?:[eé]phones?|efones?|[eé]fonos?|efoni?|efoon|efonnummer|efonnr)?|tele?f|tfno|tlf|ph",
    r"phone(?:d|s|[ _-]?(?:number|no))?|mob(?:ile?)?(?:[ _-]?(?:number|no))?|m[oó]vil|mobilnummer",
    r"cell(?:phone|ulare|ular)?|celular|handy(?:nummer)?|portable",
    r"gsm|natel|fax|call(?:ed|ing|er|back)?|rang|ring|ring mig|dial(?:l?ed)?|whatsapp|viber|signal|sms|txt|text(?:ed)?",
    r"landline|festnetz|fixe|fijo|contact|kontakt|contacto|hotline|helpline|toll[ -]free|free ?phone",
    r"rückruf|rufnummer|anruf(?:en)?|rufen|appele[rz]|rappele[rz]|rappel|llám[ae](?:me|nos)|llamar|chiam(?:a|are|ami)",
    r"ligue|ligar|bel|bellen|soita|puhelin(?:numero)?|ringa|zadzwoń|dzwoni[ćł]|zavolejte|volejte|hívj(?:on)?|sunați",
    r"msisdn|number to call|my numbers?|nummer|num[eé]ros?|n[uú]meros?|телефон|тел|звоните|позвоните|τηλ(?:έφωνο)?",
    r"reach(?: (?:me|us))?|office|home|work|emergency",
)
_CALLED_HERE = re.compile(
    r"電話|携帯|連絡先|电话|手机|联系|전화|휴대폰|연락처|โทร|هاتف|جوال|اتصل|الاتصال|טלפון|नंबर|फोन"
)
"""Words of scripts that leave no spaces between words."""
_NUMBER = words(r"numbers?|no|nos|nr")
_OTHER = words(
    r"order|invoice|tracking|shipment|parcel|ref(?:erence)?|ticket|serial|isbn|issn|ean|gtin|upc|imei|sku|transaction",
    r"trace|span|job|batch|run|seed|build|bestellung|commande|rechnung|auftrag|timestamp|id|hash|offset|bytes|size|ns|us",
    r"part|article|artikel|model|version|pid|rows?|step|epoch|case|account|at|until|since|port|time|revision|commit",
)
_DATE = re.compile(
    r"(?:19|20)[0-9]{2}[-./ ](?:0?[1-9]|1[0-2])[-./ ](?:0?[1-9]|[12][0-9]|3[01])(?![0-9])"
    r"|(?:0?[1-9]|[12][0-9]|3[01])[-./ ](?:0?[1-9]|[12][0-9]|3[01])[-./ ](?:(?:19|20)[0-9]{2}(?![0-9])|[0-9]{2}\Z)"
)
_DECIMAL = re.compile(r"[0-9]+\.[0-9]+|[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?")
_ADDRESS = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_AMERICAN = re.compile(
    r"(?P<trunk>1[ .-]?)?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}(?P<mark>[ .-]))"
    r"[2-9][0-9]{2}(?(mark)(?P=mark)|[ .-])[0-9]{4}"
)
_TRUNK = re.compile(r"\(?0[1-9]")
_GROUPS = re.compile(r"[0-9]+")
_LONG, _MOST_GROUPS, _WHOLE_GROUP = 9, 7, 3


def _phone(match: re.Match[str]) -> Span | None:
    text = match.group()
    groups = _GROUPS.findall(text)
    digits = sum(map(len, groups))
    if not _MIN_DIGITS <= digits <= _MAX_DIGITS or len(groups) > _MOST_GROUPS:
        return None
    if max(map(len, groups)) < _WHOLE_GROUP and not text.startswith(("+", "0", "(0")):
        return None
    if _DATE.match(text) or _ADDRESS.fullmatch(text):
        return None
    is_other = follows(match, _OTHER, within=20)
    is_called = follows(match, _CALLED) or follows(match, _CALLED_HERE) or (follows(match, _NUMBER) and not is_other)
    if text.startswith("+"):
        is_one = _is_number(text, None) or (digits >= _LONG and (is_called or len(groups) > 1))
    elif not is_called and (_DECIMAL.fullmatch(text) or is_other):
        is_one = False
    elif text.startswith("00"):
        is_one = _is_number(f"+{text[2:].lstrip()}", None) or (is_called and digits >= _LONG)
    else:
        is_one = _is_national(text, is_called=is_called)
    return match.span() if is_one else None


def _is_national(text: str, *, is_called: bool) -> bool:
    """Whether it is a number as it is dialled within a country; without its form a word before must tell."""
    if american := _AMERICAN.fullmatch(text):
        return is_called or american["trunk"] is not None or _is_number(text, "US")
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
            r"(?<![A-Za-z0-9_.,+/#-])(?<![0-9][ :])\+?\(?[0-9](?:[ ().\-/\t]{0,3}[0-9]){6,16}"
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
