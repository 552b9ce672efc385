"""Bodies are read with a limit."""

import gzip

from tests.transport.conftest import Client
from tests.transport.fakes import LIMIT

ROW = {"instances": [[1.0, 2.0]]}
ECHO = "/v1/models/echo:predict"


def test_an_announced_body_over_the_limit_is_not_read(client: Client) -> None:
    """A Content-Length over the limit is refused with 413 before a byte of the body is asked for."""
    answer = client.exchange("POST", ECHO, {"content_length": str(LIMIT + 1)}, [])
    assert answer is not None
    assert answer.status == 413


def test_the_refusal_names_the_limit_and_the_setting(client: Client) -> None:
    """A 413 names the limit and the setting that raises it, and closes the connection."""
    answer = client.post(ECHO, b"x" * (LIMIT + 1))
    assert str(LIMIT) in answer.error
    assert "FAIRLEAD_MAX_BODY_BYTES" in answer.error
    assert answer.headers["connection"] == "close"


def test_a_body_that_was_read_keeps_its_connection(client: Client) -> None:
    """A refusal that comes after the whole body was read leaves the connection open for the next request."""
    answer = client.post(ECHO, gzip.compress(b" " * (LIMIT + 1)), content_encoding="gzip")
    assert answer.status == 413
    assert "connection" not in answer.headers


def test_an_endless_length_is_refused(client: Client) -> None:
    """A Content-Length of thousands of digits is refused like any other that is too large."""
    answer = client.exchange("POST", ECHO, {"content_length": "9" * 5000}, [])
    assert answer is not None
    assert answer.status == 413


def test_a_streamed_body_is_cut_at_the_limit(client: Client) -> None:
    """A body without a length is refused when it passes the limit."""
    assert client.stream(ECHO, [b"x" * 1000] * (LIMIT // 1000 + 1)).status == 413


def test_a_streamed_body_is_put_together(client: Client) -> None:
    """A body in many chunks is the same body."""
    answer = client.stream(ECHO, [b'{"insta', b"", b'nces": [[1.0,', b" 2.0]]}"])
    assert answer.json() == {"predictions": [[1.0, 2.0]]}


def test_a_client_that_leaves_is_not_answered(client: Client) -> None:
    """Nothing is sent, and nothing raised, when the client goes away while it sends the body."""
    half = {"type": "http.request", "body": b'{"insta', "more_body": True}
    assert client.exchange("POST", ECHO, {}, [half]) is None


def test_gzip_is_inflated(client: Client) -> None:
    """A gzip body means what it holds."""
    body = gzip.compress(b'{"instances": [[1.0, 2.0]]}')
    assert client.post(ECHO, body, content_encoding="gzip").json() == {"predictions": [[1.0, 2.0]]}


def test_a_gzip_bomb_is_refused(client: Client) -> None:
    """A small body that inflates to a huge one is refused with 413."""
    assert client.post(ECHO, gzip.compress(b" " * 50_000_000), content_encoding="gzip").status == 413


def test_damaged_gzip_is_named(client: Client) -> None:
    """A gzip body that is cut short, or none at all, is refused with 400 and the reason."""
    whole = gzip.compress(b'{"instances": [[1.0]]}')
    for damaged in (b"{}", whole[:-9], b"", whole[:10] + b"\xff" + whole[11:]):
        answer = client.post(ECHO, damaged, content_encoding="gzip")
        assert answer.status == 400
        assert "gzip body is damaged" in answer.error
