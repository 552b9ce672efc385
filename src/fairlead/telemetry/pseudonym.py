"""Stands for a user where nobody needs to know which: the same user is told from others, and not found out."""

from __future__ import annotations

import contextlib
import os
from hashlib import blake2b
from pathlib import Path

__all__ = ["Pseudonyms", "open_pseudonyms"]

_KEY_BYTES = 32
_DIGEST_BYTES = 16


class Pseudonyms:
    """Keyed hashes (BLAKE2b). Without the key nobody can try out who it was; once it is deleted, nobody can at all."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def __call__(self, user: str) -> str:
        """32 hexadecimal digits.

        >>> Pseudonyms(bytes(32))("jo@example.org")
        '60dce4a38a8f1bd6f3ba3f8e2ddcbc84'
        """
        return blake2b(user.encode(errors="surrogatepass"), key=self._key, digest_size=_DIGEST_BYTES).hexdigest()


def open_pseudonyms(path: Path) -> Pseudonyms:
    """With the key in the file, which is made where there is none: all processes then have the same.

    Raises:
        OSError: when there is none and none can be made.
    """
    with contextlib.suppress(FileExistsError):
        path.parent.mkdir(parents=True, exist_ok=True)
        _make(path)
    return Pseudonyms(path.read_bytes())


def _make(path: Path) -> None:
    """Put a new key there whole, or leave the one that is there."""
    if path.exists():
        return
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, os.urandom(_KEY_BYTES))
        os.fsync(descriptor)
        os.link(beside, path)
    finally:
        os.close(descriptor)
        beside.unlink()
