"""A request's JSON object is found as TensorFlow Serving finds it."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import FairleadError
from fairlead.transport.tfserving.document import read_document


@pytest.mark.parametrize(
    ("body", "document"),
    [
        (b'{"a": 1, "a": 2}', {"a": 1}),
        (b'{"a": [{"b": 1, "b": 2}], "c": 3}', {"a": [{"b": 1}], "c": 3}),
        (b'{"a": {"b": {"c": 1, "c": 2}}}', {"a": {"b": {"c": 1}}}),
        (b'{"a": NaN, "a": 2}', {"a": math.nan}),
        (b'{"a:": ":", "a:": 2}', {"a:": ":"}),
        (b'\xef\xbb\xbf {"a": 1, "a": 2} : x', {"a": 1}),
    ],
)
def test_the_first_of_equal_keys_counts(body: bytes, document: dict[str, Any]) -> None:
    """At any depth, with tokens, colons in strings and what else is special."""
    assert repr(read_document(body)) == repr(document)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"[1]", "JSON Value: [1] Is not object"),
        (b"NaN", "JSON Value: NaN Is not object"),
        (b'{"signature_name": 1}', "'signature_name' key must be a string value."),
        (b'{"signature_name": 1, "signature_name": ""}', "'signature_name' key must be a string value."),
    ],
)
def test_what_is_no_request(body: bytes, said: str) -> None:
    """Anything but an object, or a signature's name that is no string, is refused with an echo."""
    with pytest.raises(FairleadError, match="JSON Value") as caught:
        read_document(body)
    assert caught.value.message.endswith(said)


NAMES = st.sampled_from(["a", "b", ":"])


def _text(value: Any) -> str:
    """`value` as JSON; pairs are an object's members, equal names and all."""
    if isinstance(value, tuple):
        return "{" + ",".join(f"{json.dumps(name)}:{_text(inner)}" for name, inner in value) + "}"
    return "[" + ",".join(map(_text, value)) + "]" if isinstance(value, list) else json.dumps(value)


def _first(value: Any) -> Any:
    if isinstance(value, tuple):
        return {name: _first(inner) for name, inner in reversed(value)}
    return list(map(_first, value)) if isinstance(value, list) else value


OBJECTS = st.recursive(
    st.integers(0, 9) | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.lists(st.tuples(NAMES, inner), max_size=3).map(tuple),
    max_leaves=10,
)


@given(st.lists(st.tuples(NAMES, OBJECTS), max_size=3).map(tuple))
def test_any_object_is_read_by_its_first_keys(members: tuple[tuple[str, Any], ...]) -> None:
    """Whatever is equal to what, the first counts."""
    assert read_document(_text(members).encode()) == _first(members)
