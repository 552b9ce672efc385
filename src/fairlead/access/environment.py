"""The key that the environment names: the one-line start."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fairlead.access.key import FixedKey
from fairlead.access.scope import Scope
from fairlead.errors import Code, FairleadError

__all__ = ["environment_key"]

_NAME = "API_KEY"
_LEAST_CHARACTERS = 16


def environment_key(environ: Mapping[str, str]) -> FixedKey | None:
    """The key in `API_KEY`, or in the file that `API_KEY_FILE` names; it is good for predictions and feedback.

    Raises:
        FairleadError: FAILED_PRECONDITION when the file cannot be read, INVALID_ARGUMENT for a key that could be
            guessed or that no header can carry.
    """
    source, secret = _NAME, environ.get(_NAME, "")
    if not secret and (path := environ.get(f"{_NAME}_FILE")):
        source, secret = f"{_NAME}_FILE", _read(path)
    elif not secret:
        return None
    if len(secret) < _LEAST_CHARACTERS or not secret.isascii() or not secret.isprintable() or " " in secret:
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            f"the key in {source} is no good: it must be {_LEAST_CHARACTERS} or more printable ASCII characters",
            hint="openssl rand -hex 32 makes one",
        )
    return FixedKey(source, secret, frozenset({Scope.PREDICT, Scope.FEEDBACK}))


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except (OSError, ValueError) as error:
        raise FairleadError(
            Code.FAILED_PRECONDITION, f"the key cannot be read: {error}", hint=f"{_NAME}_FILE names a file with it"
        ) from error
