"""Bodies are read with a limit."""

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
