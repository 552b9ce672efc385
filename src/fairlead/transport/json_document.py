"""JSON bodies: parsed by orjson, refused in the words of TensorFlow Serving's parser."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import orjson

from fairlead.errors import Code, FairleadError
from fairlead.transport.rapidjson import read_tokens, without_strings, without_tokens

__all__ = ["MAX_DEPTH", "echo", "parse_json"]

MAX_DEPTH = 64
"""How deep objects and lists may be nested; numpy's arrays have as many axes at most."""

_ECHO_CHARS = 256
_BOM = b"\xef\xbb\xbf"
_STEPS = bytes.maketrans(b"[{]}", bytes((1, 1, 255, 255)))
_NO_BRACKETS = bytes(code for code in range(256) if code not in b"[{]}")
_CHUNK = 65_536
_AFTER = "after document"
_TOKEN = re.compile(r"-?(?:NaN|Inf(?:inity)?)\b")

# What orjson says, and what RapidJSON says of the same fault.
_FAULTS = (
    ("string key", "Missing a name for object member."),
    ("':' after key", "Missing a colon after a name of object member."),
    ("',' or '}'", "Missing a comma or '}' after an object member."),
    ("',' or ']'", "Missing a comma or ']' after an array element."),
    (_AFTER, "The document root must not be followed by other values."),
    ("infinity", "Number too big to be stored in double."),
    ("decimal point", "Miss fraction part in number."),
    ("exponent", "Miss exponent in number."),
    ("escaped", "Invalid escape character in string."),
    ("surrogate in", "The surrogate pair in string is invalid."),
    ("UTF-8", "Invalid encoding in string."),
)


def parse_json(body: bytes, *, takes_tokens: bool = False, takes_rest: bool = False) -> Any:
    """The value that `body` holds.

    Args:
        body: the text, in UTF-8; a byte order mark before it means nothing.
        takes_tokens: whether NaN and Infinity may stand bare, as TensorFlow Serving and Triton take them.
        takes_rest: whether what follows the value is ignored, as TensorFlow Serving does.

    Raises:
        FairleadError: INVALID_ARGUMENT, `JSON Parse error: ...`.
    """
    text = body.removeprefix(_BOM)
    _check_depth(text)
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if takes_rest and _AFTER in error.msg:
            return orjson.loads(error.doc[: error.pos])
        if takes_tokens and (masked := without_tokens(text)) != text:
            parse_json(masked, takes_rest=takes_rest)  # whatever else is wrong
            return read_tokens(text)
        if not takes_tokens and (token := _token_at(error)):
            raise _refusal(f"The value {token} is not finite: numbers must be. at offset: {error.pos}") from None
        raise _refusal(_fault(text, error)) from None


def echo(value: Any) -> str:
    """The beginning of `value` as JSON, written no further than it is shown."""
    text = ""
    for piece in json.JSONEncoder(ensure_ascii=False).iterencode(value):
        text += piece
        if len(text) > _ECHO_CHARS:
            return text[:_ECHO_CHARS] + "..."
    return text


def _check_depth(text: bytes) -> None:
    """Refuse what is nested too deeply before anything is made of it."""
    if text.count(b"[") + text.count(b"{") <= MAX_DEPTH:
        return
    if _depth(text) > MAX_DEPTH and _depth(without_strings(text)) > MAX_DEPTH:
        raise _refusal(f"The document is nested more than {MAX_DEPTH} levels deep")


def _depth(text: bytes) -> int:
    """The most brackets that are open at once, those inside strings counted as any."""
    steps = np.frombuffer(text.translate(_STEPS, _NO_BRACKETS), np.int8)
    level = deepest = 0
    for start in range(0, steps.size, _CHUNK):  # a running sum of all would take many times the text's memory
        levels = steps[start : start + _CHUNK].cumsum(dtype=np.int32)
        deepest = max(deepest, level + int(levels.max()))
        level += int(levels[-1])
    return deepest


def _fault(text: bytes, error: orjson.JSONDecodeError) -> str:
    if not text.strip():
        return "The document is empty"
    said = next((words for part, words in _FAULTS if part in error.msg), "Invalid value.")
    return f"{said} at offset: {error.pos}"


def _token_at(error: orjson.JSONDecodeError) -> str:
    """The token at which orjson stopped, if it stands for no finite number; of `-Infinity` it eats the sign."""
    start = error.pos - 1 if error.doc[error.pos - 1 : error.pos] == "-" else error.pos
    match = _TOKEN.match(error.doc, start)
    return match[0] if match else ""


def _refusal(fault: str) -> FairleadError:
    return FairleadError(Code.INVALID_ARGUMENT, f"JSON Parse error: {fault}")
