"""National ids: by their own check digits where the form is telling, and whatever a text itself calls one."""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Callable

from fairlead.redaction.finding import Category
from fairlead.redaction.rule import Check, Rule, Span

__all__ = ["NAMED_RULES", "RULES"]

_NAMES = (
    r"ssn|social[ _-]?security|soc\.? sec\.?|itin|nino?|national[ _-]?insurance|nhs|"
    r"(?:national|personal)[ _-]?(?:id(?:entity|entification)?|identity)|"
    r"(?:id|identity)[ _-]card|personalausweis|ausweis(?:nummer)?|steuer-?id(?:entifikationsnummer)?|steuernummer|"
    r"id(?:entifikations|ent)?nr|identifikationsnummer|identificatienummer|"
    r"sozialversicherungs?nummer|sv-?(?:nr|nummer)|ahv|avs|bsn|"
    r"burgerservicenummer|rijksregisternummer|registre national|nir|n[º°] de sécu|sécu(?:rité sociale)?|dni|n\.?i\.?e|"
    r"n\.?i\.?f|cédula|cedula|codice fiscale|pesel|personn?ummer|personnr|pnr|fnr|"
    r"het[uü]|henkilötunnus|cpr|fødselsnummer|fodselsnummer|cpf|aadhaa?r|uidai|pan(?: card)?|sin|social insurance|"
    r"tfn|tax[ _-]?file|medicare|my ?number|nric|fin|hkid|rrn|resident registration|curp|rfc|rut|cuit|cuil|kimlik|"
    r"tckn|t\.?c\.?(?: kimlik)?|pps|ppsn|rodné číslo|rodne cislo|"
    r"r\.? ?č|cnp|egn|oib|amka|isikukood|teudat zehut|taxpayer|"
    r"tax[ _-]?id(?:entification)?|driv(?:er'?s|ing)[ _-]licen[cs]e|führerschein(?:nummer)?|permis de conduire|"
    r"инн|снилс"
)
_NAMES_HERE = r"身份证|身份證|身份号码|身分證|マイナンバー|個人番号|주민등록번호|เลขบัตร|رقم الهوية|ת\.?ז"
"""In scripts that leave no spaces between words."""
_NUMBER = r"(?:[ _-]?(?:number|nummer|número|numéro|no|nr|num|code|id|#)\.?|[ _-]?n?[º°]|\.)?"
_MIN_DIGITS = 4


def _within_words(match: re.Match[str]) -> Span | None:
    """The value up to the first word behind it that has no digit, if it has more digits than a day or a month."""
    start, _ = match.span("value")
    taken = _VALUE.match(match["value"])
    if taken is None or sum(character.isdigit() for character in taken.group()) < _MIN_DIGITS:
        return None
    return start, start + taken.end()


_VALUE = re.compile(
    r"(?:[A-Z]{1,6} )?\S*[0-9]\S*(?: (?=\S*[0-9])\S+| [A-Z](?![A-Za-z]))*",
    re.IGNORECASE,
)
NAMED_RULES = (
    Rule(
        category=Category.NATIONAL_ID,
        pattern=re.compile(
            rf"(?:(?<![^\W_])(?:{_NAMES})|{_NAMES_HERE}){_NUMBER}[\"']?"
            r"(?:\s?[:=#]\s?|\s(?:is|est|lautet|ist|es|è|é)\s|\s|(?<=[^\x00-\u02ff]))[\"']?"
            r"(?P<value>(?=[A-Z\-./ ]{0,9}[0-9])[A-Z0-9](?:[ ./-]?[A-Z0-9]){5,19})(?![A-Za-z0-9])",
            re.IGNORECASE,
        ),
        check=_within_words,
    ),
)


@functools.cache
def _is_valid(module: str) -> Callable[[str], bool]:
    return importlib.import_module(f"stdnum.{module}").is_valid  # type: ignore[no-any-return] # what each of them has


def _checked_by(*modules: str) -> Check:
    """A check that the number is valid by one of the modules of python-stdnum."""

    def check(match: re.Match[str]) -> Span | None:
        return match.span() if any(_is_valid(module)(match.group()) for module in modules) else None

    return check


_FORMS: tuple[tuple[str, tuple[str, ...]], ...] = (
    # United States, known since anybody may check that a form is one: invalid ones were somebody's too
    (r"(?!000|666|9)[0-9]{3}([- ])(?!00)[0-9]{2}\1(?!0000)[0-9]{4}", ()),
    (r"9[0-9]{2}-(?:5[0-9]|6[0-5]|7[0-9]|8[0-8]|9[0-24-9])-[0-9]{4}", ()),
    # United Kingdom
    (r"(?![DFIQUV])[A-Z](?![DFIQUVO])[A-Z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]", ()),
    # Spain
    (r"[0-9]{8}-?[A-HJ-NP-TV-Z]", ("es.dni",)),
    (r"[XYZ]-?[0-9]{7}-?[A-Z]", ("es.nie",)),
    # Italy, France, Belgium, Netherlands
    (r"[A-Z]{6}[0-9LMNP-V]{2}[A-EHLMPR-T][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z]", ("it.codicefiscale",)),
    (r"[12] ?[0-9]{2} ?(?:0[1-9]|1[0-2]|[2-9][0-9]) ?(?:[0-9]{2}|2[AB]) ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}", ("fr.nir",)),
    (r"[0-9]{2}\.[0-9]{2}\.[0-9]{2}-[0-9]{3}\.[0-9]{2}", ("be.nn",)),
    # Germany, Austria, Switzerland
    (r"[1-9][0-9] [0-9]{3} [0-9]{3} [0-9]{3}", ("de.idnr",)),
    (r"[1-9][0-9]{3} [0-9]{6}", ("at.vnr",)),
    (r"756[. ]?[0-9]{4}[. ]?[0-9]{4}[. ]?[0-9]{2}", ("ch.ssn",)),
    # The North
    (r"[0-9]{6}(?:[0-9]{2})?[-+][0-9]{4}", ("se.personnummer", "dk.cpr")),
    (r"[0-9]{6}[-+A-FU-Y][0-9]{3}[0-9A-FHJ-NPR-Y]", ("fi.hetu",)),
    (r"[0-3][0-9][014589][0-9]{3} ?[0-9]{5}", ("no.fodselsnummer",)),
    # The East
    (r"[0-9]{6}/[0-9]{3,4}", ("cz.rc",)),
    (r"[1-9][0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])[0-9]{6}", ("ro.cnp",)),
    # Ireland, Portugal
    (r"[0-9]{7}[A-W][A-IW]?", ("ie.pps",)),
    (r"[0-9]{8} ?[0-9] ?[A-Z]{2}[0-9]", ("pt.cc",)),
    # The Americas
    (r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}", ("br.cpf",)),
    (r"[0-9]{3}-[0-9]{3}-[0-9]{3}", ("ca.sin",)),
    (r"[0-9]{1,2}\.?[0-9]{3}\.?[0-9]{3}-[0-9K]", ("cl.rut",)),
    (r"(?:20|23|24|27|30|33|34)-[0-9]{8}-[0-9]", ("ar.cuit",)),
    (r"[A-Z]{4}[0-9]{6}[HMX][A-Z]{5}[0-9A-Z][0-9]", ("mx.curp",)),
    # Asia
    (r"[2-9][0-9]{3} [0-9]{4} [0-9]{4}", ("in_.aadhaar",)),
    (r"[A-Z]{3}[ABCFGHJLPT][A-Z][0-9]{4}[A-Z]", ()),
    (r"[1-9][0-9]{5}(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])[0-9]{3}[0-9X]", ("cn.ric",)),
    (r"[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])-[1-8][0-9]{6}", ("kr.rrn",)),
    (r"[STFGM][0-9]{7}[A-Z]", ()),
    (r"[1-8]-[0-9]{4}-[0-9]{5}-[0-9]{2}-[0-9]", ("th.pin",)),
    (r"[A-Z][12][0-9]{8}", ()),
    (r"[A-Z]{1,2}[0-9]{6}\([0-9A]\)", ()),
)

RULES = tuple(
    Rule(
        category=Category.NATIONAL_ID,
        pattern=re.compile(rf"(?<![A-Za-z0-9_.+/-]){form}(?![A-Za-z0-9_+]|[./-][A-Za-z0-9])"),
        check=_checked_by(*modules) if modules else None,
    )
    for form, modules in _FORMS
)
