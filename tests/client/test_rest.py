"""HTTP answers as they may come: from a server, and from what stands before it."""

from __future__ import annotations

import httptools
import pytest

from fairlead.client.call_error import CallError
from fairlead.client.http_message import AnswerReader, HttpAnswer
from fairlead.client.question import Describe, Index, IsReady
from fairlead.client.rest import decode
from fairlead.errors import Code, FairleadError
from fairlead.serving.target import Target

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-One: 1\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"


def read(data: bytes, size: int) -> HttpAnswer | None:
    """The answer in pieces of that size."""
    reader, answer = AnswerReader(), None
    for start in range(0, len(data), size):
        answer = reader.feed(data[start : start + size])
    return answer


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_an_answer_comes_in_pieces(size: int) -> None:
    """Of any size, with its length before it or in chunks."""
    answer = read(CHUNKED, size)
    assert answer is not None
    assert (answer.status, answer.body, answer.headers["x-one"], answer.keep_alive) == (200, b"abcde", "1", True)

    last = read(b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}", size)
    assert last is not None
    assert (last.status, last.body, last.keep_alive) == (404, b"{}", False)


def test_what_is_no_answer_is_refused() -> None:
    """Nothing is guessed; the end before the end is an error."""
    with pytest.raises(httptools.HttpParserError):
        AnswerReader().feed(b"\x00\x00\x12\x04 hello")
    with pytest.raises(EOFError):
        AnswerReader().feed(b"")


def answer(status: int, body: bytes, **headers: str) -> HttpAnswer:
    """One that is complete."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpAnswer(status=status, headers=named, body=body, keep_alive=True)


@pytest.mark.parametrize(
    ("given", "code", "is_passing", "retry_after_s"),
    [
        (answer(502, b"<html>"), Code.UNAVAILABLE, True, 0),
        (answer(503, b"", retry_after="7"), Code.UNAVAILABLE, True, 7),
        (answer(503, b"", retry_after="Sun, 29 Nov 2026 00:00:00 GMT"), Code.UNAVAILABLE, True, 0),
        (answer(504, b"<html>"), Code.DEADLINE_EXCEEDED, False, 0),
        (answer(429, b"<html>", retry_after="1"), Code.RESOURCE_EXHAUSTED, True, 1),
        (answer(429, b"<html>"), Code.RESOURCE_EXHAUSTED, False, 0),
        (answer(413, b"<html>"), Code.RESOURCE_EXHAUSTED, False, 0),
        (answer(418, b"[]"), Code.UNKNOWN, False, 0),
        (answer(301, b""), Code.UNKNOWN, False, 0),
        (answer(400, b'{"error": "no code"}'), Code.INVALID_ARGUMENT, False, 0),
    ],
    ids=lambda value: str(getattr(value, "status", "")),
)
def test_answers_of_proxies_mean_what_their_status_says(
    given: HttpAnswer, code: Code, is_passing: bool, retry_after_s: float
) -> None:
    """They know neither codes nor hints."""
    with pytest.raises(CallError) as caught:
        decode(Index(), given, "http://host:8501")

    error = caught.value
    assert (error.code, error.is_passing, error.retry_after_s) == (code, is_passing, retry_after_s)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'{"name": 1}', b"null"])
def test_a_page_that_is_no_answer_is_told(body: bytes) -> None:
    """Such as a proxy's greeting, with status 200."""
    with pytest.raises(FairleadError, match="what http://host:8501 answers cannot be read") as caught:
        decode(Describe(target=Target(model="m")), answer(200, body), "http://host:8501")

    assert caught.value.code is Code.DATA_LOSS


def test_a_server_that_is_not_ready_is_no_error() -> None:
    """It has said so."""
    assert decode(IsReady(target=None), answer(200, b""), "x") is True
    assert decode(IsReady(target=None), answer(503, b""), "x") is False
