"""JSON bodies: parsed by orjson, refused in the words of TensorFlow Serving's parser."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

from fairlead.errors import Code, FairleadError

__all__ = ["echo", "parse_json"]

_ECHO_CHARS = 256
_BOM = b"\xef\xbb\xbf"
_NOT_FINITE = re.compile(r"-?(?:NaN|Inf(?:inity)?)\b")

# What orjson says, and what RapidJSON says of the same fault.
_FAULTS = (
    ("string key", "Missing a name for object member."),
    ("':' after key", "Missing a colon after a name of object member."),
    ("',' or '}'", "Missing a comma or '}' after an object member."),
    ("',' or ']'", "Missing a comma or ']' after an array element."),
    ("after document", "The document root must not be followed by other values."),
    ("infinity", "Number too big to be stored in double."),
    ("decimal point", "Miss fraction part in number."),
    ("exponent", "Miss exponent in number."),
    ("escaped", "Invalid escape character in string."),
    ("surrogate in", "The surrogate pair in string is invalid."),
    ("UTF-8", "Invalid encoding in string."),
    ("depth", "The document is nested too deeply."),
)


def parse_json(body: bytes) -> Any:
    """The value that `body` holds.

    Raises:
        FairleadError: INVALID_ARGUMENT, `JSON Parse error: ...`. NaN and infinities, which TensorFlow Serving takes,
            are refused too: a model would answer them with nonsense.
    """
    text = body.removeprefix(_BOM)
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise FairleadError(Code.INVALID_ARGUMENT, f"JSON Parse error: {_fault(text, error)}") from None


def echo(value: Any) -> str:
    """The beginning of `value` as JSON, written no further than it is shown."""
    text = ""
    for piece in json.JSONEncoder(ensure_ascii=False).iterencode(value):
        text += piece
        if len(text) > _ECHO_CHARS:
            return text[:_ECHO_CHARS] + "..."
    return text


def _fault(text: bytes, error: orjson.JSONDecodeError) -> str:
    if not text.strip():
        return "The document is empty"
    if token := _not_finite_at(error):
        return f"The value {token} is not finite: numbers must be. at offset: {error.pos}"
    said = next((words for part, words in _FAULTS if part in error.msg), "Invalid value.")
    return f"{said} at offset: {error.pos}"


def _not_finite_at(error: orjson.JSONDecodeError) -> str:
    """The token at which orjson stopped, if it stands for no finite number; of `-Infinity` it eats the sign."""
    start = error.pos - 1 if error.doc[error.pos - 1 : error.pos] == "-" else error.pos
    match = _NOT_FINITE.match(error.doc, start)
    return match[0] if match else ""
