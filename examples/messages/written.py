"""Short messages written for this example, so that it can be tried without any download."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

__all__ = ["written_messages"]

_HAM = (
    ("{who}, are you coming to {what} {when}?", "who what when"),
    ("Running late for {what}, see you {when}", "what when"),
    ("can we move {what} to {when}? sorry {who}", "what when who"),
    ("Thanks {who}! {what} was great", "who what"),
    ("I left my {thing} at {where}, could you bring it {when}?", "thing where when"),
    ("ok {who} meet you at {where} {when} then", "who where when"),
    ("Did you find the {thing}? I think it is at {where}", "thing where"),
    ("Happy birthday {who}!! hope {what} is fun", "who what"),
    ("my phone died {when}, what did you say about {what}", "when what"),
    ("Don't forget the {thing} for {what} please", "thing what"),
    ("How much was the {thing}? I will pay you back {when}", "thing when"),
    ("call me when you are at {where}, {who} is waiting", "where who"),
)
_SPAM = (
    ("WINNER! You have won a {prize}. Call {number} to claim before {end}", "prize number end"),
    ("Congratulations, your number was drawn for {prize}! Text {word} to {short} now", "prize word short"),
    ("FREE {prize}!! Reply {word} to {short}. Only {price}/msg, ends {end}", "prize word short price end"),
    ("URGENT: your account is locked. Confirm at www.{site} by {end}", "site end"),
    ("Get {price} ringtones every week, txt {word} to {short}. Stop? Send STOP", "price word short"),
    ("Last chance to collect your {prize}: call {number}, cost {price} per min", "prize number price"),
    ("Cheap loans up to 5000 today! No checks. Visit www.{site} or call {number}", "site number"),
    ("You were selected for a {prize}! Claim code {word}{short} at www.{site}", "prize word short site"),
)
_FILLS = {
    "who": ("mum", "dad", "love", "mate", "you two", "everyone", "boss", "kids"),
    "what": ("dinner", "the match", "lunch", "class", "the meeting", "practice", "the film", "coffee"),
    "when": ("tonight", "tomorrow", "at 5", "on sunday", "in an hour", "later", "next week", "after work"),
    "thing": ("keys", "umbrella", "book", "charger", "jacket", "tickets", "cake", "camera"),
    "where": ("home", "the station", "your place", "the office", "school", "the gym", "the shop", "the corner"),
    "prize": ("1000 cash prize", "holiday for 2", "brand new phone", "500 voucher", "luxury cruise", "tablet"),
    "number": ("0900 555 0101", "0900 555 0144", "0900 555 0182", "0900 555 0199"),
    "end": ("midnight", "31/12", "Friday", "6pm today"),
    "word": ("WIN", "CLAIM", "YES", "GO", "PRIZE"),
    "short": ("55501", "55522", "55577"),
    "price": ("1.50", "3.00", "99p", "2.50"),
    "site": ("prizes.example", "claim-now.example", "bank-check.example", "deals.example"),
}
_EACH = {"ham": 160, "spam": 90}


def written_messages() -> list[tuple[str, str]]:
    """Labels and distinct messages, the same ones each time."""
    return [
        (label, text)
        for label, frames in (("ham", _HAM), ("spam", _SPAM))
        for frame, names in frames
        for text in _filled(frame, names.split(), _EACH[label])
    ]


def _filled(frame: str, names: list[str], most: int) -> Iterator[str]:
    """Up to `most` ways to fill the frame, spread over all that there are."""
    ways = list(itertools.product(*(_FILLS[name] for name in names)))
    step = max(1, len(ways) // most)
    for way in ways[::step][:most]:
        yield frame.format(**dict(zip(names, way, strict=True)))
