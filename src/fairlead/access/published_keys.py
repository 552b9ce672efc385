"""The public keys that an issuer of tokens publishes at a URL: fetched now and then, kept while it does not answer."""

from __future__ import annotations

import json
import logging
import os
import tempfile
import threading
import time
import urllib.error
import urllib.request
import weakref
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any

import jwt

from fairlead.access.tokens import parse_jwks
from fairlead.errors import Code, FairleadError

__all__ = ["PublishedKeys"]

_FETCH_S = 5.0
_MOST_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 16
_REFRESH_S = 300.0
_SOONEST_S = 10.0
_log = logging.getLogger(__name__)


class PublishedKeys:
    """Finds public keys by their ids.

    A thread fetches them anew every few minutes, and sooner when a token names a key that is not known; it begins with
    the first token, and ends once nobody has these keys any more. Nobody who shows a token waits for it, and nobody
    makes it fetch more often than every ten seconds.

    Args:
        url: where the issuer publishes its JWKS. It is asked with a bound on time and size, and not followed elsewhere.
        copy: where what was fetched last is kept, for a process that starts while the issuer is down.
        refresh_s: from one fetch to the next.
        soonest_s: from one fetch to the next that tokens bring about.

    Attributes:
        close: ends the thread at once.

    Raises:
        FairleadError: UNAVAILABLE when the keys cannot be had now and there is no copy.
    """

    def __init__(self, url: str, copy: Path, *, refresh_s: float = _REFRESH_S, soonest_s: float = _SOONEST_S) -> None:
        self._follower = _Follower(url, copy, refresh_s=refresh_s, soonest_s=soonest_s)
        self.close = weakref.finalize(self, self._follower.end)

    def get(self, key_id: str, /) -> jwt.PyJWK | None:
        """The key of that id; None when there is none, and then the keys are fetched soon."""
        return self._follower.get(key_id)


class _Follower(threading.Thread):
    """What `PublishedKeys` has, and its thread, which therefore does not keep it alive."""

    def __init__(self, url: str, copy: Path, *, refresh_s: float, soonest_s: float) -> None:
        super().__init__(name="jwks", daemon=True)
        self._url = url
        self._copy = copy
        self._refresh_s = refresh_s
        self._soonest_s = soonest_s
        self._fetched = time.monotonic()
        self._hanging: _Fetch | None = None
        self._keys = self._first()
        self._is_wanted = threading.Event()
        self._is_over = threading.Event()
        self._has_begun = False

    def get(self, key_id: str) -> jwt.PyJWK | None:
        """As of `PublishedKeys`."""
        if not self._has_begun:
            self._has_begun = True
            self.start()
        key = self._keys.get(key_id)
        if key is None:
            self._is_wanted.set()
        return key

    def end(self) -> None:
        """Fetch no more."""
        self._is_over.set()
        self._is_wanted.set()

    def run(self) -> None:
        while not self._is_over.is_set():
            since_s = time.monotonic() - self._fetched
            is_wanted = self._is_wanted.wait(max(self._refresh_s - since_s, 0.0))
            since_s = time.monotonic() - self._fetched
            if is_wanted and self._is_over.wait(max(self._soonest_s - since_s, 0.0)):
                break
            self._is_wanted.clear()
            self._fetched = time.monotonic()
            try:
                self._keys = self._fetch()
            except FairleadError as error:
                _log.error("the keys of tokens stay as they were: %s", error)

    def _first(self) -> Mapping[str, jwt.PyJWK]:
        try:
            return self._fetch()
        except FairleadError as error:
            kept = self._kept()
            if kept is None:
                raise
            _log.error("the keys of tokens are those that were fetched before: %s", error)
            return kept

    def _fetch(self) -> Mapping[str, jwt.PyJWK]:
        fetch = self._hanging or _Fetch(self._url)
        if self._hanging is None:
            fetch.start()
        fetch.join(_FETCH_S)
        self._hanging = fetch if fetch.is_alive() else None  # there is never more than one
        error = TimeoutError(f"it was not complete after {_FETCH_S:g} s") if self._hanging else fetch.error
        if error is not None:
            raise FairleadError(
                Code.UNAVAILABLE,
                f"the keys of tokens cannot be had from {self._url}: {error}",
                hint="curl it from this machine; FAIRLEAD_JWKS_FILE takes them from a file",
            ) from error
        keys = parse_jwks(fetch.body, self._url)
        self._keep(fetch.body)
        return keys

    def _keep(self, body: bytes) -> None:
        """In one step, so that whoever reads it has the whole of it; a disk that is full is no reason to end."""
        kept = json.dumps({"url": self._url, "jwks": json.loads(body)}).encode()
        try:
            self._copy.parent.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(prefix=f".{self._copy.name}.", dir=self._copy.parent)
            with open(descriptor, "wb") as writer:  # noqa: PTH123 - a descriptor has no path
                writer.write(kept)
            os.replace(name, self._copy)  # noqa: PTH105 - mkstemp gives a text
        except OSError as error:
            _log.warning("the keys of tokens are not kept in %s: %s", self._copy, error)

    def _kept(self) -> Mapping[str, jwt.PyJWK] | None:
        try:
            kept: dict[str, Any] = json.loads(self._copy.read_bytes())
            return parse_jwks(json.dumps(kept["jwks"]).encode(), str(self._copy)) if kept["url"] == self._url else None
        except (OSError, ValueError, KeyError, TypeError, FairleadError):
            return None


class _Stay(urllib.request.HTTPRedirectHandler):
    """Goes nowhere else: a redirect is an error."""

    def redirect_request(self, *_: Any) -> None:
        return None


class _Fetch(threading.Thread):
    """One fetch in a thread that nobody has to wait for: who sends a header letter by letter holds any other.

    Attributes:
        body: what came.
        error: why nothing came.
    """

    def __init__(self, url: str) -> None:
        super().__init__(name="jwks fetch", daemon=True)
        self._url = url
        self.body = b""
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self.body = _get(self._url, time.monotonic() + _FETCH_S)
        except (OSError, HTTPException, ValueError) as error:
            self.error = error


def _get(url: str, deadline: float) -> bytes:
    """The body, within the bounds; however it trickles."""
    opener = urllib.request.build_opener(_Stay)
    body = bytearray()
    try:
        answer = opener.open(url, timeout=_FETCH_S)
    except urllib.error.HTTPError as refusal:
        with refusal:
            raise ValueError(f"the answer's status is {refusal.code}") from None
    with answer:
        while chunk := answer.read1(_CHUNK_BYTES):
            body += chunk
            if len(body) > _MOST_BYTES:
                raise ValueError(f"it is longer than {_MOST_BYTES} bytes")
            if time.monotonic() > deadline:
                raise TimeoutError(f"it was not complete after {_FETCH_S:g} s")
    return bytes(body)
