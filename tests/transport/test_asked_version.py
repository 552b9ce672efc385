"""What the headers that choose a version may say, where a client or a proxy says it badly."""

from __future__ import annotations

import time

import pytest
from tests.transport.conftest import Client
from tests.transport.fakes import FakeCatalogue

from fairlead.errors import Code, FairleadError
from fairlead.serving.target import Target
from fairlead.transport.asked_version import with_headers
from fairlead.transport.message import Head, Request

BODY = {"instances": [[1.0, 2.0]]}
DIGITS = Target(model="digits")


def asked(*headers: tuple[bytes, bytes], target: Target = DIGITS) -> Target:
    """Whom a request with these headers is for."""
    head = Head(method="POST", path="/", query="", headers=headers)
    return with_headers(target, Request(head, b"", arrived=time.monotonic(), max_body_bytes=1), FakeCatalogue())


def test_no_header_changes_nothing() -> None:
    """The very target of the path goes on, and an empty header is none."""
    assert asked() is DIGITS
    assert asked((b"x-model-version", b""), (b"x-model-label", b"")) is DIGITS


@pytest.mark.parametrize(
    "headers",
    [
        ((b"x-model-version", b"1"), (b"x-model-version", b"2")),
        ((b"x-model-version", b"1"), (b"x-model-version", b"1")),
        ((b"x-model-version", b""), (b"x-model-version", b"1")),
        ((b"x-model-version", b"0"),),
        ((b"x-model-version", b"-1"),),
        ((b"x-model-version", b"\xb2"),),
        ((b"x-model-version", b"9223372036854775808"),),
        ((b"x-model-version", b"1" * 5000),),
        ((b"x-model-version", b"1"), (b"x-model-label", b"stable")),
    ],
)
def test_what_is_no_single_version_is_refused(headers: tuple[tuple[bytes, bytes], ...]) -> None:
    """Two headers of one name too, whichever a server would take; and nothing long is repeated."""
    with pytest.raises(FairleadError) as caught:
        asked(*headers)

    assert caught.value.code is Code.INVALID_ARGUMENT
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("label", [b"nope", b"stable,stable", b"\xff\xfe", b"x" * 5000, b"../stable"])
def test_a_label_that_is_none_is_told_those_that_are(label: bytes) -> None:
    """Whatever it is made of, and nothing long is repeated."""
    with pytest.raises(FairleadError, match="it has stable") as caught:
        asked((b"x-model-label", label))

    assert caught.value.code is Code.NOT_FOUND
    assert len(str(caught.value)) < 500


def test_of_an_unknown_model_the_protocol_says_so(client: Client) -> None:
    """In its own words: which labels it would have is not the first thing to know."""
    header = {"x-model-label": "nope"}

    assert "Servable not found" in client.predict("unknown", BODY, **header).error
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}
    answer = client.post("/v2/models/unknown/infer", {"inputs": [tensor]}, **header)
    assert (answer.status, "unknown model" in answer.error) == (404, True)
