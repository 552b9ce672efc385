"""Rows as the database takes them: cleaned where that loses nothing that counts, refused where it would."""

from __future__ import annotations

import functools
import re
from typing import Any

from fairlead.database.schema import predictions
from fairlead.monitoring.prediction import PredictionRow, Tally

__all__ = ["clean_text", "storable_row", "storable_tally"]

_NO_TEXT = re.compile("[\0\ud800-\udfff]")  # PostgreSQL refuses the first, UTF-8 has no place for the others
_MAX_INTEGER = 2**63 - 1


def clean_text(text: str, limit: int) -> str:
    """The text with what no database stores replaced, and cut where it is too long.

    >>> clean_text("seven" + chr(0), 256), clean_text("seven", 3)
    ('seven�', 'sev')
    """
    return (text if text.isascii() and "\0" not in text else _NO_TEXT.sub("\ufffd", text))[:limit]


def storable_row(row: PredictionRow) -> dict[str, Any]:
    """The row's columns, without its inputs.

    Raises:
        ValueError: a part that cannot be cut or cleaned without becoming another row's.
    """
    return {
        "id": _name("id", row.id, _ID_LIMIT),
        "at_us": _count("at_us", row.at_us),
        "model": _name("model", row.model, _MODEL_LIMIT),
        "version": _count("version", row.version),
        "arm": _name("arm", row.arm, _ARM_LIMIT),
        "error": clean_text(row.error, _ERROR_LIMIT),
        "latency_us": _count("latency_us", row.latency_us),
        "predicted": None if row.predicted is None else clean_text(row.predicted, _LABEL_LIMIT),
        "confidence": row.confidence if _is_number(row.confidence) else None,
        "outputs": None if row.outputs is None else {_key(name): values for name, values in row.outputs.items()},
        "features": None if row.features is None else {_key(name): _text(v) for name, v in row.features.items()},
    }


def storable_tally(tally: Tally) -> dict[str, Any]:
    """The tally's columns, without its spool.

    Raises:
        ValueError: a part that cannot be cut or cleaned without becoming another tally's.
    """
    return {
        "minute": _count("minute", tally.minute),
        "model": _name("model", tally.model, _MODEL_LIMIT),
        "version": _count("version", tally.version),
        "arm": _name("arm", tally.arm, _ARM_LIMIT),
        "rows": _count("rows", tally.rows),
        "errors": _count("errors", tally.errors),
        "latency": [_count("latency", rows) for rows in tally.latency],
    }


def _limit(name: str) -> int:
    """How long the column's text may be."""
    return int(predictions.c[name].type.length)  # type: ignore[attr-defined] # a String has one


_ID_LIMIT, _MODEL_LIMIT, _ARM_LIMIT = _limit("id"), _limit("model"), _limit("arm")
_ERROR_LIMIT, _LABEL_LIMIT = _limit("error"), _limit("predicted")
_FEATURE_LIMIT = 1_000


def _name(what: str, text: str, limit: int) -> str:
    """Text that a row is found by: cleaned, but never cut."""
    if len(text) > limit:
        raise ValueError(f"the {what} has {len(text)} characters, {limit} is the most")
    return clean_text(text, limit)


def _count(what: str, number: int) -> int:
    if not 0 <= number <= _MAX_INTEGER:
        raise ValueError(f"{what} is {number}, no number from 0 to 2^63 - 1")
    return number


def _is_number(value: float | None) -> bool:
    return value is not None and value == value and abs(value) != float("inf")  # noqa: PLR0124 - NaN is unlike itself


@functools.lru_cache(maxsize=4096)
def _key(name: str) -> str:
    """The name of an output or a feature, cleaned: all rows of a version have the same ones."""
    return clean_text(name, _FEATURE_LIMIT)


def _text(value: Any) -> Any:
    """Text cleaned; numbers as they are: what is not finite becomes null in the JSON."""
    return clean_text(value, _FEATURE_LIMIT) if isinstance(value, str) else value
