"""Refusals carry what a client needs to go on."""

from __future__ import annotations

import json

import pytest

from fairlead.errors import Code, FairleadError
from fairlead.transport.codes import HttpError
from fairlead.transport.refusal import refusal


def test_a_refusal_has_code_sentence_and_hint() -> None:
    """In one shape."""
    response = refusal(FairleadError(Code.NOT_FOUND, "no such model", hint="look again"))

    assert (response.status, response.headers, response.code) == (404, (), Code.NOT_FOUND)
    assert json.loads(response.body) == {
        "error": {"code": "NOT_FOUND", "message": "no such model", "hint": "look again"}
    }


@pytest.mark.parametrize("code", Code)
def test_what_will_pass_says_when_to_try_again(code: Code) -> None:
    """A 503 has Retry-After, and nothing else has."""
    response = refusal(FairleadError(code, "for now"))

    assert ((b"retry-after", b"1") in response.headers) is (response.status == 503)


def test_an_errors_own_headers_are_kept() -> None:
    """Such as the methods that are allowed."""
    error = HttpError(405, Code.INVALID_ARGUMENT, "no", headers=((b"allow", b"POST"),))

    assert refusal(error).headers == ((b"allow", b"POST"),)
