"""Keys of tokens that an issuer publishes: followed while they change, kept while they cannot be had."""

from __future__ import annotations

import functools
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tests.certificates import Authority
from tests.cli.clients import wait_until

from fairlead.access.published_keys import PublishedKeys
from fairlead.access.scope import Scope
from fairlead.access.tokens import Tokens
from fairlead.app.access import open_doorkeeper
from fairlead.config import Settings
from fairlead.errors import Code, FairleadError


class Issuer:
    """Publishes keys at `url`; `answer` is how, and `asked` counts."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/jwks.json"
        self.asked = 0
        self.keys: dict[str, Any] = {}
        self.answer = self.publish

    def add(self, kid: str) -> str:
        """A new key; a token that is signed with it."""
        key = ec.generate_private_key(ec.SECP256R1())
        published = jwt.algorithms.ECAlgorithm(jwt.algorithms.ECAlgorithm.SHA256).to_jwk(key.public_key(), as_dict=True)
        self.keys[kid] = {**published, "kid": kid, "use": "sig"}
        return jwt.encode({"exp": time.time() + 60, "sub": "ann"}, key, "ES256", headers={"kid": kid})

    def publish(self, handler: BaseHTTPRequestHandler) -> None:
        """As it should be."""
        send(handler, json.dumps({"keys": list(self.keys.values())}).encode())


def send(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, **headers: str) -> None:
    """An answer."""
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("content-length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@contextmanager
def publishing(context: ssl.SSLContext | None = None) -> Iterator[Issuer]:
    """An issuer that answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked += 1
            made.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.handle_error = lambda *_: None  # type: ignore[method-assign] # a client that has enough leaves
        server.daemon_threads = True
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        made = Issuer(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """An issuer with the key "a"."""
    with publishing() as made:
        made.add("a")
        yield made


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Where what was fetched is kept."""
    return tmp_path / "home" / "jwks.json"


@contextmanager
def following(issuer: Issuer, copy: Path, *, refresh_s: float = 60.0, soonest_s: float = 0.01) -> Iterator[Tokens]:
    """Tokens that are judged by what it publishes; the thread has ended when the context does."""
    others = threads()
    keys = PublishedKeys(issuer.url, copy, refresh_s=refresh_s, soonest_s=soonest_s)
    yield Tokens("", keys)
    keys.close()
    wait_until(lambda: threads() <= others)


def threads() -> set[threading.Thread]:
    """Those that look for keys from time to time."""
    return {thread for thread in threading.enumerate() if thread.name == "jwks"}


def is_good(tokens: Tokens, token: str) -> bool:
    """Whether it opens anything."""
    found = tokens.find(token.encode(), time.time())
    return found is not None and Scope.PREDICT in found.scopes


def test_the_thread_ends_with_what_asks_for_keys(issuer: Issuer, copy: Path) -> None:
    """It does not keep the keys alive, nor wait for its next turn."""
    others = threads()
    tokens = Tokens("", PublishedKeys(issuer.url, copy))
    assert not is_good(tokens, issuer.add("later"))
    assert len(threads() - others) == 1

    del tokens

    wait_until(lambda: threads() <= others)


def test_a_key_that_is_new_is_taken_and_one_that_is_gone_is_not(issuer: Issuer, copy: Path) -> None:
    """The first token of a new key makes the keys be fetched; the request does not wait."""
    first = issuer.add("first")
    with following(issuer, copy) as tokens:
        assert is_good(tokens, first)
        second = issuer.add("second")
        may_answer = threading.Event()

        def publish_late(handler: BaseHTTPRequestHandler) -> None:
            may_answer.wait(20)
            issuer.publish(handler)

        issuer.answer = publish_late
        assert not is_good(tokens, second)
        may_answer.set()
        wait_until(lambda: is_good(tokens, second))
        del issuer.keys["first"]
        third = issuer.add("third")
        wait_until(lambda: is_good(tokens, third))
        assert not is_good(tokens, first)
        assert is_good(tokens, second)


def test_strangers_make_it_fetch_once_an_interval(issuer: Issuer, copy: Path) -> None:
    """However many keys they invent."""
    invented = [
        jwt.encode({"exp": 2e9}, ec.generate_private_key(ec.SECP256R1()), "ES256", headers={"kid": f"x{number}"})
        for number in range(20)
    ]
    with following(issuer, copy, soonest_s=0.5) as tokens:
        started = time.monotonic()
        while issuer.asked < 4:
            assert not any(is_good(tokens, token) for token in invented)
        assert time.monotonic() - started >= 2 * 0.5


def test_it_is_looked_at_now_and_then(issuer: Issuer, copy: Path) -> None:
    """Also when nobody shows a key that is not known."""
    token = issuer.add("b")
    with following(issuer, copy, refresh_s=0.05) as tokens:
        assert is_good(tokens, token)
        wait_until(lambda: issuer.asked > 5)
        del issuer.keys["b"]
        wait_until(lambda: not is_good(tokens, token))


def nonsense(handler: BaseHTTPRequestHandler) -> None:
    """No JWKS."""
    send(handler, b'{"keys": [{"kty": "oct"}]}')


def nothing(handler: BaseHTTPRequestHandler) -> None:
    """An empty set."""
    send(handler, b'{"keys": []}')


def broken(handler: BaseHTTPRequestHandler) -> None:
    """An error."""
    send(handler, b"", 500)


def endless(handler: BaseHTTPRequestHandler) -> None:
    """More than anybody should read."""
    handler.send_response(200)
    handler.end_headers()
    for _ in range(200):
        handler.wfile.write(b" " * 65536)


def deep(handler: BaseHTTPRequestHandler) -> None:
    """Deeper than Python reads."""
    send(handler, b"[" * 100_000)


@pytest.mark.parametrize("answer", [nonsense, nothing, broken, endless, deep])
def test_what_is_no_set_of_keys_changes_nothing(
    issuer: Issuer, copy: Path, answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The keys stay as they were, the log says why, and what is right again is taken."""
    token = issuer.add("good")
    with following(issuer, copy, refresh_s=0.05) as tokens:
        assert is_good(tokens, token)
        issuer.answer = answer
        wait_until(lambda: "the keys of tokens stay as they were" in caplog.text)
        assert is_good(tokens, token)
        issuer.answer = issuer.publish
        later = issuer.add("later")
        wait_until(lambda: is_good(tokens, later))


def test_an_issuer_that_is_down_at_the_start_is_a_refusal_or_a_copy(issuer: Issuer, copy: Path) -> None:
    """Of the same URL; a copy that is broken is none."""
    token = issuer.add("good")
    issuer.answer = broken
    with pytest.raises(FairleadError, match="cannot be had") as refused:
        PublishedKeys(issuer.url, copy)
    assert refused.value.code is Code.UNAVAILABLE
    issuer.answer = issuer.publish
    PublishedKeys(issuer.url, copy)
    issuer.answer = broken
    assert is_good(Tokens("", PublishedKeys(issuer.url, copy)), token)
    with pytest.raises(FairleadError, match="cannot be had"):
        PublishedKeys(issuer.url + "?other", copy)
    copy.write_text("{")
    with pytest.raises(FairleadError, match="cannot be had"):
        PublishedKeys(issuer.url, copy)


def test_it_is_not_followed_to_another_place(issuer: Issuer, copy: Path) -> None:
    """Whoever can answer for the issuer's address could have this machine ask anything else."""
    with publishing() as elsewhere:
        elsewhere.add("a")
        for status in (301, 302, 303, 307, 308):
            issuer.answer = functools.partial(send, body=b"", status=status, location=elsewhere.url)
            with pytest.raises(FairleadError, match="cannot be had") as refused:
                PublishedKeys(issuer.url, copy)
            assert str(status) in refused.value.message
        assert elsewhere.asked == 0


def test_one_that_trickles_is_cut(issuer: Issuer, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the deadline of all of it, not of each byte."""
    monkeypatch.setattr("fairlead.access.published_keys._FETCH_S", 0.3)

    def trickle(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in range(400):
            handler.wfile.write(b" ")
            time.sleep(0.05)

    issuer.answer = trickle
    started = time.monotonic()
    with pytest.raises(FairleadError, match="not complete after"):
        PublishedKeys(issuer.url, copy)
    assert time.monotonic() - started < 10


def test_one_whose_headers_trickle_is_not_waited_for(
    issuer: Issuer, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A letter of a header now and then keeps nobody, and no second thread is spent on it."""
    monkeypatch.setattr("fairlead.access.published_keys._FETCH_S", 0.5)
    is_over = threading.Event()

    def trickle(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nx-letters: ")
        while not is_over.wait(0.1):
            handler.wfile.write(b"a")

    issuer.add("first")
    keys = PublishedKeys(issuer.url, copy, soonest_s=0.1)
    issuer.answer = trickle
    asked = issuer.asked
    wait_until(lambda: keys.get("unknown") is None and issuer.asked > asked)
    until = time.monotonic() + 2  # several times its turn
    while time.monotonic() < until:
        assert keys.get("unknown") is None
        time.sleep(0.05)
    fetches = [thread for thread in threading.enumerate() if thread.name == "jwks fetch"]
    is_over.set()

    assert (issuer.asked, len(fetches)) == (asked + 1, 1)
    assert keys.get("first") is not None


def test_an_issuer_has_to_be_who_it_says(copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over https with an authority that is trusted, and with no other."""
    authority = Authority(tmp_path)
    pair = authority.issue("issuer")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    with publishing(context) as issuer:
        token = issuer.add("a")
        url = issuer.url.replace("http:", "https:")
        with pytest.raises(FairleadError, match="CERTIFICATE_VERIFY_FAILED"):
            PublishedKeys(url, copy)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
        settings = Settings.read({}, home=str(tmp_path / "home"), jwks_url=url)
        door = open_doorkeeper(settings, "", {})
        assert door is not None
        assert door.admit(token.encode(), Scope.PREDICT).name == "ann"


def test_keys_come_from_one_place(tmp_path: Path) -> None:
    """A file and a URL at once would leave it open which is meant."""
    settings = Settings.read({}, home=str(tmp_path), jwks_url="http://127.0.0.1:1/x", jwks_file="jwks.json")
    with pytest.raises(FairleadError, match="both name keys"):
        open_doorkeeper(settings, "", {})
