"""Examples as the JSON of `:classify` and `:regress` writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlead.servable.identity import MAX_VERSION as MAX_INT64
from fairlead.transport.invalid import invalid
from fairlead.transport.json_document import echo
from fairlead.transport.tfserving.examples import with_context
from fairlead.transport.tfserving.feature import Example, Feature, Kind
from fairlead.transport.tfserving.walk import decode_base64, is_base64, json_type

__all__ = ["read_examples"]

_KINDS = {float: Kind.FLOAT, int: Kind.INT64, bool: Kind.INT64, str: Kind.BYTES}


def read_examples(document: Mapping[str, Any], verb: str) -> list[Example]:
    """The examples in `document`, each with the features of its context.

    Raises:
        FairleadError: INVALID_ARGUMENT, in TensorFlow Serving's words; `verb` is named in them.
    """
    if "examples" not in document:
        raise invalid(
            f"JSON Value: {echo(document)} When method is {verb}, key 'examples' is expected and was not found"
        )
    elements = document["examples"]
    if not isinstance(elements, list):
        raise invalid(f"JSON Value: {echo(elements)} Expecting 'examples' to be an list/array")
    if not elements:
        raise invalid("JSON Value: [] No values in 'examples' array")
    context = _example(document["context"]) if "context" in document else {}
    return with_context([_example(element) for element in elements], context)


def _example(value: Any) -> Example:
    if not isinstance(value, dict):
        raise invalid(f"Example must be JSON object but got JSON {json_type(value)}")
    return {name: _feature(name, inner) for name, inner in value.items()}


def _feature(name: str, value: Any) -> Feature:
    """A value alone is a list of one; the first one's type is everyone's."""
    items = value if isinstance(value, list) else [value]
    kinds = {_kind(name, item) for item in items}
    if len(kinds) > 1:
        raise invalid(f"Unexpected element type in feature: {name} expecting type: {_kind(name, items[0])}")
    kind = kinds.pop() if kinds else Kind.BYTES
    if kind is Kind.BYTES:
        return Feature(kind, [_bytes(item) for item in items])
    if kind is Kind.INT64 and items and max(items) > MAX_INT64:
        raise invalid(f"Feature: {name} has element {max(items)}, which 64 bits with a sign do not hold")
    return Feature(kind, items)


def _kind(name: str, item: Any) -> Kind:
    if is_base64(item):
        return Kind.BYTES
    if type(item) not in _KINDS:
        raise invalid(f"Feature: {name} has element with unexpected JSON type: {json_type(item)}")
    return _KINDS[type(item)]


def _bytes(item: str | dict[str, str]) -> bytes:
    return item.encode() if isinstance(item, str) else decode_base64(item["b64"])
