"""What papers say of a person: dates of birth, passports, number plates; each behind a word that names it."""

from __future__ import annotations

import re

from fairlead.redaction.finding import Category
from fairlead.redaction.rule import Rule

__all__ = ["HINTS", "RULES"]

_MONTH = (
    r"(?:jan|feb|mar|mär|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez|janv|févr|mars|avril|juin|juil|août|ene|abr|"
    r"ago|dic|gen|mag|giu|lug|set|ott|maa|mei)[^\W\d_]{0,8}\.?"
)
_DATE = (
    r"(?:[0-9]{4}[-./][0-9]{1,2}[-./][0-9]{1,2}|[0-9]{1,2}[-./ ][0-9]{1,2}[-./ ][0-9]{2,4}"
    rf"|[0-9]{{1,2}}(?:st|nd|rd|th|\.|er|º)?(?: de| of)? ?{_MONTH}(?: de|,)? ?[0-9]{{2,4}}"
    rf"|{_MONTH} [0-9]{{1,2}}(?:st|nd|rd|th)?,? [0-9]{{2,4}}|[0-9]{{8}})"
)
_BORN = (
    r"dob|d\.o\.b\.?|date[ _-]of[ _-]birth|birth[ _-]?(?:date|day)|born(?: on)?|geb\.?|geboren(?: am)?|geburtsdatum|"
    r"née? le|date de naissance|fecha de nacimiento|nacid[oa] el|data di nascita|nat[oa] il|geboortedatum|"
    r"geboren op|data de nascimento|nascid[oa] em|data urodzenia|født|fødselsdato"
)
_PASSPORT = r"passport|passeport|pasaporte|passaporto|reisepass|paspoort|passaporte"
_PLATE = (
    r"(?:licen[cs]e|number|registration)[ -]?plate|plate|vehicle registration|reg(?:istration)?|kennzeichen|"
    r"(?:plaque d')?immatriculation|matrícula|matricula|targa|kenteken"
)
_NUMBER = r"(?:[ _-]?(?:number|no|nr|num|nummer|#|n[º°])\.?)?"
_IS = r"[\"']?(?:\s?[:=#]\s?|\s(?:is|was|ist|est|es|è|on|the)\s|\s)[\"']?"
_SIGNS = r"(?=[A-ZÄÖÜ \-]{0,8}[0-9])(?=[0-9 \-]{0,6}[A-ZÄÖÜ])[A-ZÄÖÜ0-9]{1,8}(?:[ -][A-ZÄÖÜ0-9]{1,5}){0,3}"


def _rule(category: Category, name: str, value: str) -> Rule:
    return Rule(
        category=category,
        pattern=re.compile(rf"(?<![^\W_])(?:{name}){_IS}(?P<value>{value})(?![A-Za-z0-9])", re.IGNORECASE),
    )


HINTS = (
    *("dob", "d.o.b", "birth", "born", "geb", "née le", "né le", "naissance", "nacim", "nacid", "nasc", "nato il"),
    *("nata il", "urodzenia", "fød", "passport", "passeport", "pasaporte", "passaport", "reisepass", "paspoort"),
    *("plate", "reg", "kennzeichen", "immatric", "matrícula", "matricula", "targa", "kenteken"),
)
"""One of these is in every text, in lower case, in which the rules find anything."""

RULES = (
    _rule(Category.DATE_OF_BIRTH, _BORN, _DATE),
    _rule(Category.PASSPORT, rf"(?:{_PASSPORT}){_NUMBER}", r"(?=[A-Z]{0,3}[0-9])[A-Z0-9]{6,10}"),
    _rule(Category.PLATE, rf"(?:{_PLATE}){_NUMBER}", rf"(?-i:{_SIGNS})"),
)
