"""The secrets that the environment names: the one-line start."""

from __future__ import annotations

from collections.abc import Mapping

from fairlead.access.key import FixedKey
from fairlead.access.scope import Scope
from fairlead.config import read_secret
from fairlead.errors import Code, FairleadError

__all__ = ["API_KEY", "JWT_SECRET_KEY", "METRICS_KEY", "VARIABLES", "environment_keys", "token_secret"]

API_KEY, METRICS_KEY, JWT_SECRET_KEY = "API_KEY", "METRICS_KEY", "JWT_SECRET_KEY"
VARIABLES = frozenset(f"{name}{end}" for name in (API_KEY, METRICS_KEY, JWT_SECRET_KEY) for end in ("", "_FILE"))
"""All that is read here: a secret, or a file that has it."""

_LEAST_CHARACTERS = {API_KEY: 16, METRICS_KEY: 16, JWT_SECRET_KEY: 32}
_SCOPES = {API_KEY: frozenset({Scope.PREDICT, Scope.FEEDBACK}), METRICS_KEY: frozenset({Scope.METRICS})}


def environment_keys(environ: Mapping[str, str]) -> list[FixedKey]:
    """The keys in `API_KEY`, for predictions and feedback, and `METRICS_KEY`, or in the files that they name.

    Raises:
        FairleadError: FAILED_PRECONDITION when a file cannot be read, INVALID_ARGUMENT for a key that could be
            guessed or that no header can carry.
    """
    secrets = ((name, _secret(environ, name)) for name in _SCOPES)
    return [FixedKey(name, secret, _SCOPES[name]) for name, secret in secrets if secret]


def token_secret(environ: Mapping[str, str]) -> str:
    """The secret that JSON Web Tokens are signed with, in `JWT_SECRET_KEY` or its file; empty when there is none.

    Raises:
        FairleadError: as `environment_keys`.
    """
    return _secret(environ, JWT_SECRET_KEY)


def _secret(environ: Mapping[str, str], name: str) -> str:
    secret, least = read_secret(environ, name), _LEAST_CHARACTERS[name]
    if secret and (len(secret) < least or not secret.isascii() or not secret.isprintable() or " " in secret):
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            f"the secret in {name} is no good: it must be {least} or more printable ASCII characters",
            hint="openssl rand -hex 32 makes one",
        )
    return secret
