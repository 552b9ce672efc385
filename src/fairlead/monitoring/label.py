"""What somebody says the truth was: a prediction's id and a label."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fairlead.errors import Code, FairleadError

__all__ = ["MAX_LABEL", "Label", "label_text", "made_us", "parse_id"]

MAX_LABEL = 256
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}(\.(0|[1-9][0-9]{0,9}))?")
_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_MAX_BITS = 800  # of an integer with fewer digits than MAX_LABEL


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """The truth about one prediction, as it was given.

    Attributes:
        prediction_id: what the answer carried; `.ROW` follows where the request had several rows.
        label: the class's name; a number or a truth value means its text in JSON.
        origin: where it stands, for messages: `line 7 of labels.csv`.
    """

    prediction_id: str
    label: str | int | bool
    origin: str = ""


def parse_id(text: object) -> str:
    """The prediction's id as the log has it.

    Raises:
        FairleadError: INVALID_ARGUMENT for what Fairlead never gives out.

    >>> parse_id("017F22E2-79B0-7CC3-98C4-DC0C0C07398F.2")
    '017f22e2-79b0-7cc3-98c4-dc0c0c07398f.2'
    """
    if isinstance(text, str) and _ID.fullmatch(text.lower()):
        return text.lower()
    raise FairleadError(
        Code.INVALID_ARGUMENT,
        f"{text!r:.80} is no prediction's id",
        hint="give the prediction_id of the answer, with .ROW where the request had several rows",
    )


def made_us(prediction_id: str) -> int:
    """When the prediction was asked for, in microseconds since 1970: a UUID of version 7 begins with its milliseconds.

    >>> made_us("017f22e2-79b0-7cc3-98c4-dc0c0c07398f")
    1645557742000000
    """
    return int(prediction_id[:8] + prediction_id[9:13], 16) * 1000


def label_text(label: object) -> str:
    """The label as text: numbers and truth values as JSON writes them.

    Raises:
        FairleadError: INVALID_ARGUMENT for what is no string, integer or truth value, or cannot be stored.

    >>> label_text("spam"), label_text(7), label_text(True)
    ('spam', '7', 'true')
    """
    if isinstance(label, bool):
        return "true" if label else "false"
    if isinstance(label, int) and label.bit_length() <= _MAX_BITS:
        return str(label)
    if isinstance(label, str) and 0 < len(label) <= MAX_LABEL and not _NO_TEXT.search(label):
        return label
    raise FairleadError(
        Code.INVALID_ARGUMENT,
        f"{label!r:.80} is no label",
        hint=f"a string of 1 to {MAX_LABEL} characters, an integer, true or false",
    )
