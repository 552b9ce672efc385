"""JSON bodies are refused in the words of TensorFlow Serving's parser."""

import pytest

from fairlead.errors import Code, FairleadError
from fairlead.transport.json_document import parse_json


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
def test_faults_have_rapidjsons_words(body: bytes, said: str) -> None:
    """A fault is named as RapidJSON names it, with its offset."""
    with pytest.raises(FairleadError) as caught:
        parse_json(body)
    assert (caught.value.code, caught.value.message) == (Code.INVALID_ARGUMENT, f"JSON Parse error: {said}")


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity", "Inf", "-Inf", "-NaN"])
def test_values_that_are_not_finite_are_refused(token: str) -> None:
    """NaN and infinities are refused, and the error says that they are not finite."""
    with pytest.raises(FairleadError, match=f"{token} is not finite"):
        parse_json(f'{{"é": [1.0, {token}]}}'.encode())


@pytest.mark.parametrize("depth", [1_100, 1_000_000])
def test_deep_nesting_is_refused(depth: int) -> None:
    """A document nested too deeply is refused before it can exhaust a stack."""
    with pytest.raises(FairleadError, match="nested too deeply"):
        parse_json(b"[" * depth + b"]" * depth)


def test_a_byte_order_mark_is_skipped() -> None:
    """The mark that some editors write first means nothing."""
    assert parse_json(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}
