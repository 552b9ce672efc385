"""Where money is: cards, bank accounts, wallets."""

from __future__ import annotations

import re

from fairlead.redaction.finding import Category
from fairlead.redaction.rule import Check, Rule, Span, follows, words

__all__ = ["BANK_RULES", "RULES", "WALLET_RULES"]

_CARD_WORDS = words(
    r"cards?|visa|mastercard|maestro|amex|american express|discover|diners|jcb|unionpay|credit|debit|cc|ccn|pan",
    r"payment|karte(?:nnummer)?|kreditkarte|carte|tarjeta|carta|cartão|kaart|kort(?:nummer)?|karta|charge[ds]?|declined",
    r"карт[аыу]",
)
_OTHER_WORDS = words(
    r"order|invoice|tracking|shipment|parcel|ref(?:erence)?|ticket|serial|isbn|ean|gtin|imei|sku|transaction|trace|span",
    r"job|batch|run|seed|build|bestellung|commande|timestamp|(?:row|request|document|event|message|user|session) ?id",
    r"hash|offset|bytes|size|ns",
)
_ISSUERS = re.compile(
    r"4(?:[0-9]{12}|[0-9]{15}|[0-9]{18})"
    r"|(?:5[1-5][0-9]{2}|222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{12}"
    r"|3[47][0-9]{13}|3(?:0[0-5]|[689][0-9])[0-9]{11,16}|3(?:52[89]|5[3-8][0-9])[0-9]{12}"
    r"|6(?:011|5[0-9]{2}|4[4-9][0-9])[0-9]{12}|62[0-9]{14,17}"
    r"|(?:5018|5019|5020|5038|5893|6304|6759|676[1-3])[0-9]{8,15}|220[0-4][0-9]{12}"
)


def _digits(text: str) -> str:
    return "".join(character for character in text if character.isdigit())


def _card(match: re.Match[str]) -> Span | None:
    from stdnum import luhn  # noqa: PLC0415 - most processes never meet a number that could be a card

    digits = _digits(match.group())
    if not luhn.is_valid(digits):
        return None
    is_issued = _ISSUERS.fullmatch(digits) is not None and not follows(match, _OTHER_WORDS, within=24)
    return match.span() if is_issued or follows(match, _CARD_WORDS) else None


_IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28,
    "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
    "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22,
    "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20,
    "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18,
    "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24,
    "SI": 19, "SK": 24, "SM": 27, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24,
    "XK": 20,
}  # fmt: skip


def _iban(match: re.Match[str]) -> Span | None:
    """As many letters and digits as the country's accounts have, if the check digits fit."""
    wanted = _IBAN_LENGTHS.get(match["country"].upper())
    if wanted is None:
        return None
    taken = []
    for place, character in enumerate(match.group()):
        if character.isalnum():
            taken.append(character)
        if len(taken) == wanted:
            return (match.start(), match.start() + place + 1) if _fits("".join(taken)) else None
    return None


def _fits(account: str) -> bool:
    """Whether the remainder is 1 modulo 97 (ISO 7064)."""
    from stdnum.iso7064 import mod_97_10  # noqa: PLC0415 - as above

    return mod_97_10.is_valid(account[4:].upper() + account[:4].upper())


def _legacy_bitcoin(match: re.Match[str]) -> Span | None:
    from stdnum import bitcoin  # noqa: PLC0415 - as above

    return match.span() if bitcoin.is_valid(match.group()) else None


_ACCOUNT = (
    r"(?:bank[ _]?)?a(?:ccount|cc|cct)(?:[ _-]?(?:number|no|nr|num))?\.?|a/c(?: no)?\.?|routing(?:[ _](?:number|no))?|"
    r"aba|sort[ _-]?code|kontonummer|kontonr\.?|konto(?:-?nr)?\.?|bankleitzahl|blz|rekening(?:nummer)?|bankkonto|"
    r"tilinumero|(?:num[ée]ro de )?compte|n[º°] de cuenta|cuenta(?: bancaria)?|n[uú]mero de (?:cuenta|conta)|conta|"
    r"conto(?: corrente)?|numer konta|číslo účtu|számlaszám|hesap no|clabe|bsb|cbu|口座番号|账号|계좌번호"
)

RULES = (
    Rule(
        category=Category.CARD,
        pattern=re.compile(
            r"(?<![A-Za-z0-9_.+])(?<![0-9][ -])[2-6][0-9]{3}(?:[ .-]{0,2}[0-9]){8,15}(?![0-9])(?!\.[0-9]|[ -][0-9])"
        ),
        check=_card,
    ),
    Rule(
        category=Category.BANK_ACCOUNT,
        pattern=re.compile(r"(?<![^\W_])(?P<country>[A-Z]{2})[0-9]{2}(?:[ .\-\t]{0,2}[A-Z0-9]){11,42}", re.IGNORECASE),
        check=_iban,
    ),
    Rule(
        category=Category.BANK_ACCOUNT,
        pattern=re.compile(
            rf"(?<![^\W_])(?:{_ACCOUNT})[\"']?(?:\s?[:=#]\s?|\s?-\s|\s(?:is|lautet|est|es|è|é)\s|\s)[\"']?"
            r"(?P<value>[0-9](?:[ -]?[0-9]){4,19})(?![0-9.])",
            re.IGNORECASE,
        ),
    ),
)
BANK_RULES = (
    Rule(
        category=Category.BANK_ACCOUNT,
        pattern=re.compile(
            r"(?<![^\W_])(?i:bic|swift)(?i:[ /-](?:bic|swift|code))*[\"']?(?:\s?[:=]\s?|\s(?:is )?)[\"']?"
            r"(?P<value>[A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?)(?![A-Za-z0-9])"
        ),
    ),
)
"""A bank tells less than an account, and is none of those that need digits."""


def _wallet(form: str, check: Check | None = None) -> Rule:
    pattern = re.compile(rf"(?<![^\W_])(?:{form})(?![^\W_])")
    return Rule(category=Category.WALLET, pattern=pattern, check=check)


WALLET_RULES = (
    _wallet(r"(?:bc1|tb1|ltc1)[ac-hj-np-z02-9]{11,71}|BC1[AC-HJ-NP-Z02-9]{11,71}"),
    _wallet(r"addr1[a-z0-9]{50,110}|cosmos1[a-z0-9]{38}"),
    _wallet(r"[13][1-9A-HJ-NP-Za-km-z]{25,34}", _legacy_bitcoin),
    _wallet(r"0x[0-9a-fA-F]{40}"),
    _wallet(r"T(?=[A-Za-z]{0,32}[0-9])[1-9A-HJ-NP-Za-km-z]{33}"),
    _wallet(r"4[0-9AB][1-9A-HJ-NP-Za-km-z]{93}"),
)
