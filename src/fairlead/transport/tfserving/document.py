"""The JSON object that a request to TensorFlow Serving carries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlead.transport.invalid import invalid
from fairlead.transport.json_document import echo, parse_json
from fairlead.transport.rapidjson import read_first

__all__ = ["read_document"]


def read_document(body: bytes) -> dict[str, Any]:
    """The object in `body`: bare NaN and Infinity are taken, the first of equal keys counts, what follows is ignored.

    Raises:
        FairleadError: INVALID_ARGUMENT when there is none, or its `signature_name` is no string.
    """
    document = _object(body)
    if not isinstance(document.get("signature_name", ""), str):
        raise invalid(
            f"JSON Value: {echo(document)} not formatted correctly. 'signature_name' key must be a string value."
        )
    return document


def _object(body: bytes) -> dict[str, Any]:
    document = parse_json(body, takes_tokens=True, takes_rest=True)
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {echo(document)} Is not object")
    if body.count(b":") == _members(document):
        return document
    firsts: dict[str, Any] = read_first(body)
    return firsts


def _members(document: Mapping[str, Any]) -> int:
    """How many members the object has, with those of objects in it and in its lists, which is as deep as most go.

    As many colons prove that no two keys are equal: of equal ones the parser keeps the last.
    """
    inner = (item for value in document.values() for item in (value if isinstance(value, list) else (value,)))
    return len(document) + sum(len(item) for item in inner if isinstance(item, dict))
