"""Where people live and are: streets with a house number, coordinates."""

from __future__ import annotations

import re

from fairlead.redaction.finding import Category
from fairlead.redaction.rule import Rule, hints

__all__ = ["HINTS", "RULES"]

_HOUSE = r"[0-9]{1,5}(?: ?(?:bis|ter)|[a-zA-Z](?![a-zA-Z]))?(?:[-/][0-9]{1,4}[a-zA-Z]?)?"
_CAPITAL = r"[A-ZÀ-ÖØ-ÞĀ-Ž][\w'.-]{0,40}"
_LONG_CAPITAL = r"[A-ZÀ-ÖØ-ÞĀ-Ž][\w.-]{1,40}"
_ENGLISH = (
    r"Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Court|Ct|Way|Place|Pl|Square|Sq|Terrace|Crescent|Close|"
    r"Parkway|Pkwy|Highway|Hwy|Gardens|Grove|Mews|Trail|Loop|Alley"
)
_WIND = r"(?:N|S|E|W|NE|NW|SE|SW|North|South|East|West)\.? "
_DOOR = r",? (?:Apt|Apartment|Suite|Ste|Unit|Flat|#)\.? ?[\w-]{1,6}"
_GERMANIC = (
    r"[Ss]traße|[Ss]trasse|[Ss]tr\.|[Ww]eg|[Pp]latz|[Aa]llee|[Gg]asse|[Dd]amm|[Uu]fer|[Rr]ing|[Mm]arkt|[Hh]of|[Ss]traat|[Ll]aan|"
    r"[Pp]lein|[Gg]racht|[Kk]ade|[Dd]ijk|[Ss]ingel|[Gg]atan|[Vv]ägen|[Gg]ata|[Vv]ei(?:en)?|[Vv]ej|[Gg]ade|[Kk]atu|[Tt]ie"
)
_ROMANCE = (
    r"rue|avenue|boulevard|place|chemin|impasse|allée|quai|cours|Calle|C/|Avenida|Avda?\.?|Plaza|Paseo|Carrer|Via|Viale|"
    r"Piazza|Corso|Vicolo|Rua|Praça|Travessa|ul\.|ulica|aleja|al\."
)
_OF = r"(?:(?:de|du|des|la|le|les|l'|d'|del|di|da|do|dos|las|los|el|della) ?){0,3}"
_REST = rf"{_OF}{_CAPITAL}(?: (?:de |del |du |la |di )?{_CAPITAL}){{0,3}}"
_ARC = r"(?: ?[0-9]{1,2}(?:\.[0-9]{1,9})?')?(?: ?[0-9]{1,2}(?:\.[0-9]{1,9})?\")?"
_DEGREES = r"[0-9]{1,3}(?:\.[0-9]{1,12})?°"
_LATITUDE = r"-?[0-9]{1,2}\.[0-9]{3,}"
_LONGITUDE = r"-?[0-9]{1,3}\.[0-9]{3,}"


def _address(pattern: str) -> Rule:
    return Rule(category=Category.ADDRESS, pattern=re.compile(pattern))


def _location(pattern: str) -> Rule:
    return Rule(category=Category.LOCATION, pattern=re.compile(pattern, re.IGNORECASE))


HINTS = hints(
    "street, st,ave,road, rd,boulevard,blvd,lane, ln,drive,court, ct,way, pl,square, sq,terrace,crescent,close,"
    "pkwy,garden,grove,mews,trail,loop,alley,str,weg,platz,allee,gasse,damm,ufer,ring,markt,hof,laan,plein,gracht,"
    "kade,dijk,singel,gata,väg,vej,vei,gade,katu,tie,rue,place,chemin,impasse,allée,quai,cours,calle,c/,avda,"
    "plaza,paseo,carrer,via,piazza,corso,vicolo,rua,praça,travessa,ul.,ulica,aleja,al.,box,gps,coord,location,"
    "position,lat,lon,lng,°"
)
"""One of these is in every text, in lower case, in which the rules find anything."""

RULES = (
    _address(
        rf"(?<![\w.]){_HOUSE},? (?:{_WIND})?(?:{_CAPITAL} |[0-9]{{1,3}}(?:st|nd|rd|th) ){{1,3}}"
        rf"(?:{_ENGLISH})(?![\w'-])\.?(?:{_DOOR})?"
    ),
    _address(rf"(?<!\w){_LONG_CAPITAL}(?:[ -]{_LONG_CAPITAL}){{0,2}}?[ -]?(?:{_GERMANIC}) {_HOUSE}(?!\w)"),
    _address(rf"(?<!\w){_HOUSE},? (?:{_ROMANCE}) {_REST}"),
    _address(rf"(?<!\w)(?:{_ROMANCE}) ?{_REST},? (?:nº |n\.? ?)?{_HOUSE}(?!\w|\.[0-9])"),
    _address(r"(?<!\w)P\.?O\.? ?[Bb]ox [0-9]{1,7}"),
    _location(
        r"(?<![^\W_])(?:gps|coord(?:inate)?s?|location|position|lat(?:itude)?(?: ?[,/] ?(?:lon|lng|longitude))?)[\"']?"
        r"\s?[:=]?\s?[\"'(\[]?"
        rf"(?P<value>{_LATITUDE}\s?[,;/ ]\s?(?:[\"']?lo?ng?(?:itude)?[\"']?\s?[:=]?\s?)?{_LONGITUDE})"
    ),
    _location(rf"(?<![^\W_])(?:lat(?:itude)?|lo?ng?(?:itude)?)[\"']?\s?[:=]\s?(?P<value>{_LONGITUDE})"),
    _location(rf"(?<!\w){_DEGREES}{_ARC} ?[NS],? ?{_DEGREES}{_ARC} ?[EWO]"),
)
