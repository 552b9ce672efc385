"""JSON bodies are read as other servers read them, and refused in the words of TensorFlow Serving's parser."""

import json
import math
import time
import tracemalloc
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import Code, FairleadError
from fairlead.transport.json_document import MAX_DEPTH, parse_json


def fault(body: bytes, **takes: bool) -> str:
    """What is said against `body`."""
    with pytest.raises(FairleadError) as caught:
        parse_json(body, **takes)
    assert caught.value.code is Code.INVALID_ARGUMENT
    return caught.value.message.removeprefix("JSON Parse error: ")


@pytest.mark.parametrize("takes_tokens", [False, True])
@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "The document is empty"),
        (b" \n", "The document is empty"),
        (b"instances = [1]", "Invalid value. at offset: 0"),
        (b"{1: 2}", "Missing a name for object member. at offset: 1"),
        (b'{"a" 1}', "Missing a colon after a name of object member. at offset: 5"),
        (b'{"a": 1 "b": 2}', "Missing a comma or '}' after an object member. at offset: 8"),
        (b"[1 2]", "Missing a comma or ']' after an array element. at offset: 3"),
        (b"[1] x", "The document root must not be followed by other values. at offset: 4"),
        (b"[1e400]", "Number too big to be stored in double. at offset: 1"),
        (b"[1.]", "Miss fraction part in number. at offset: 3"),
        (b"[tru]", "Invalid value. at offset: 1"),
        (b'["\\x"]', "Invalid escape character in string. at offset: 2"),
        (b'["\\ud800"]', "The surrogate pair in string is invalid. at offset: 2"),
        (b'["\xff"]', "Invalid encoding in string. at offset: 0"),
        ('["é"'.encode("utf-16"), "Invalid encoding in string. at offset: 0"),
    ],
)
def test_faults_have_rapidjsons_words(body: bytes, said: str, takes_tokens: bool) -> None:
    """A fault is named as RapidJSON names it, with its offset."""
    assert fault(body, takes_tokens=takes_tokens) == said


TOKENS = {
    "NaN": math.nan, "-NaN": math.nan, "Inf": math.inf, "Infinity": math.inf, "-Inf": -math.inf, "-Infinity": -math.inf
}  # fmt: skip


@pytest.mark.parametrize("token", TOKENS)
def test_values_that_are_not_finite_are_refused_where_they_are_not_taken(token: str) -> None:
    """Strict JSON has no NaN and no infinities, and the error says so."""
    assert f"{token} is not finite" in fault(f'{{"é": [1.0, {token}]}}'.encode())


@pytest.mark.parametrize("token", TOKENS)
def test_bare_tokens_are_numbers_where_they_are_taken(token: str) -> None:
    """Outside strings they are the numbers that they name; in strings they are text."""
    body = f' {{"NaN \\" [": ["{token}", {token},{token}], "\\\\": {token}}} '.encode()
    document = parse_json(b"\xef\xbb\xbf" + body, takes_tokens=True)
    assert document['NaN " ['][0] == token
    for value in (*document['NaN " ['][1:], document["\\"]):
        assert value == TOKENS[token] or (math.isnan(value) and math.isnan(TOKENS[token]))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"[nan]", "Invalid value. at offset: 1"),
        (b"[infinity]", "Invalid value. at offset: 1"),
        (b"[1NaN]", "Missing a comma or ']' after an array element. at offset: 2"),
        (b"[NaN1]", "Invalid value. at offset: 1"),
        (b"[--NaN]", "at offset"),
        (b"[-Infinity, 1e400]", "Number too big to be stored in double. at offset: 12"),
        (b'[NaN, "\\ud800"]', "The surrogate pair in string is invalid. at offset: 7"),
        (b"{NaN: 1}", "Missing a name for object member. at offset: 1"),
        (b"[NaN 1]", "Missing a comma or ']' after an array element. at offset: 5"),
        (b"[NaN", "at offset"),
        (b'["NaN', "at offset"),
        (b"[NaN] NaN", "The document root must not be followed by other values. at offset: 6"),
    ],
)
def test_tokens_excuse_no_other_fault(body: bytes, said: str) -> None:
    """They are taken as they are written and in the place of a number; all else keeps its words and offsets."""
    assert said in fault(body, takes_tokens=True)


NUMBERS = st.floats() | st.integers(-(2**63), 2**64 - 1)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)


@given(VALUES)
def test_any_value_is_read_as_pythons_parser_reads_it(value: Any) -> None:
    """Whatever Python writes, tokens included, comes back as it was, 64-bit integers exact."""
    text = json.dumps(value).encode()
    assert repr(parse_json(text, takes_tokens=True)) == repr(json.loads(text))


@given(st.text('[]{}",:\\Na NIinfty-1.e') | st.text())
def test_no_text_is_taken_that_is_no_json_but_for_its_tokens(text: str) -> None:
    """What is taken is JSON once each token is a number, and any other text is refused."""
    try:
        value = parse_json(text.encode(), takes_tokens=True)
    except FairleadError:
        with pytest.raises(orjson.JSONDecodeError):
            orjson.loads(text.encode())
    else:
        spelled = text.replace("Infinity", "Inf").replace("Inf", "Infinity")
        assert repr(value) == repr(json.loads(spelled, parse_int=in_64_bits))


def in_64_bits(digits: str) -> int | float:
    """The integer, or the nearest float when it has more bits."""
    value = int(digits)
    return value if -(2**63) <= value < 2**64 else float(value)


@pytest.mark.parametrize("value", [-(2**63), 2**63, 2**64 - 1, 2**64, -(2**64), 10**30])
def test_a_token_changes_no_integer(value: int) -> None:
    """Beside a token an integer is what it is without one: a float beyond 64 bits."""
    (alone,) = parse_json(f"[{value}]".encode())
    (_, beside) = parse_json(f"[NaN, {value}]".encode(), takes_tokens=True)
    assert (type(beside), beside) == (type(alone), alone)


def test_what_follows_the_document_is_ignored_where_that_is_asked_for() -> None:
    """A line end, a NUL or another document after the first means nothing, tokens or not."""
    for rest in (b"\n", b"\0", b" {", b"[NaN]", '"é'.encode()):
        assert parse_json(b'{"a": "\xc3\xa9"}' + rest, takes_rest=True) == {"a": "é"}
        assert parse_json(b' {"a": [Infinity]}' + rest, takes_rest=True, takes_tokens=True) == {"a": [math.inf]}


DEPTHS = [MAX_DEPTH + 1, 1_100, 10_000, 1_000_000]


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}"), (b'[{"[":', b"}]")])
def test_deep_nesting_is_refused(opening: bytes, closing: bytes, depth: int) -> None:
    """A document nested too deeply is refused before anything is made of it."""
    assert fault(opening * depth + b"1" + closing * depth) == "The document is nested more than 64 levels deep"


def test_the_deepest_nesting_is_taken() -> None:
    """As deep as the limit is well, and brackets in strings or beside each other are no nesting."""
    assert parse_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    assert parse_json(orjson.dumps(["[" * 1000, '\\"{' * 1000]))
    assert len(parse_json(b"[" + b",".join([b"[]"] * 100_000) + b"]")) == 100_000


@pytest.mark.parametrize(
    "body", [b'\\"' * 5_000_000, b'"' * 10_000_000, b"[" * 10_000_000, b'"\\' * 5_000_000, b"[NaN" + b"\\" * 10_000_000]
)
def test_no_text_takes_long_to_refuse(body: bytes) -> None:
    """Time and memory are a small multiple of the text's size, however it is made."""
    tracemalloc.start()
    began = time.process_time()
    fault(body, takes_tokens=True)
    seconds = time.process_time() - began
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds < 10
    assert peak < 20 * len(body), "orjson alone takes twelve times as much"


def test_a_byte_order_mark_is_skipped() -> None:
    """The mark that some editors write first means nothing."""
    assert parse_json(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}
