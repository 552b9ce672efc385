"""JSON Web Tokens: signed with a secret that is shared, or with a private key whose public one is known."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import jwt

from fairlead.access.principal import Principal
from fairlead.access.scope import Scope, with_implied
from fairlead.errors import Code, FairleadError
from fairlead.metering.meter import Account
from fairlead.metering.quota import Quota
from fairlead.metering.rate import Rate

__all__ = ["PublicKeys", "Tokens", "parse_jwks", "read_jwks"]

_LEEWAY_S = 30
_LEAST_RSA_BITS = 2048
_ALGORITHMS = {("RSA", None): "RS256", ("EC", "P-256"): "ES256"}
_SECRET_ALGORITHM = "HS256"  # noqa: S105 - the name of an algorithm
_SCOPES = {scope.value: scope for scope in Scope}
_FAULTS = (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError)
"""What the library raises for tokens that anybody may have made; a header can be nested deeper than Python reads."""


class PublicKeys(Protocol):
    """Public keys by their ids."""

    def get(self, key_id: str, /) -> jwt.PyJWK | None:
        """The key of that id; None when there is none."""


class Tokens:
    """Judges tokens. Which algorithm a signature must have is decided by the kind of key, never by the token.

    Args:
        secret: signs with HS256; empty when there is none.
        public_keys: of RS256 and ES256, by their ids.
        audience: what `aud` must have in it; None when it is not looked at.
        rate: how often each subject may ask; None for as often as one likes.
        quota: how much each subject may ask in all; None for as much as one likes.

    Raises:
        FairleadError: INVALID_ARGUMENT when the secret is none.
    """

    def __init__(
        self,
        secret: str = "",
        public_keys: PublicKeys | None = None,
        *,
        audience: str | None = None,
        rate: Rate | None = None,
        quota: Quota | None = None,
    ) -> None:
        self._rate = rate
        self._quota = quota
        self._secret = secret
        self._public_keys: PublicKeys = {} if public_keys is None else public_keys
        self._audience = audience
        if secret:
            _try_secret(secret)

    def find(self, credential: bytes, _now: float) -> Principal | None:
        if credential.count(b".") != 2:  # noqa: PLR2004 - a token has three parts
            return None
        try:
            return self._principal(self._claims(credential))
        except _FAULTS:
            return None

    def _principal(self, claims: Mapping[str, Any]) -> Principal:
        name = str(claims.get("sub", ""))
        is_free = self._rate is None and self._quota is None
        account = None if is_free else Account("token", name, f"the subject {name!r:.80}", self._rate, self._quota)
        return Principal(
            name=name,
            scopes=with_implied(_scopes(claims)),
            expires=float(claims["exp"]) + _LEEWAY_S,
            account=account,
        )

    def _claims(self, token: bytes) -> Mapping[str, Any]:
        key_id = jwt.get_unverified_header(token).get("kid")
        public = self._public_keys.get(key_id) if isinstance(key_id, str) else None
        if public is not None:
            key, algorithm = public.key, public.algorithm_name
        elif self._secret:
            key, algorithm = self._secret, _SECRET_ALGORITHM
        else:
            raise jwt.InvalidKeyError("signed with no key that is known")
        return jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=self._audience,
            leeway=_LEEWAY_S,
            options={"require": ["exp"], "verify_aud": self._audience is not None},
        )


def read_jwks(path: Path) -> dict[str, jwt.PyJWK]:
    """The public keys in a file of JSON Web Keys, by their ids.

    Raises:
        FairleadError: FAILED_PRECONDITION when it cannot be read, and as `parse_jwks`.
    """
    try:
        body = path.read_bytes()
    except OSError as error:
        raise FairleadError(
            Code.FAILED_PRECONDITION, f"{path} cannot be read: {error}", hint="FAIRLEAD_JWKS_FILE names it"
        ) from error
    return parse_jwks(body, str(path))


def parse_jwks(body: bytes, source: str) -> dict[str, jwt.PyJWK]:
    """The public keys in a set of JSON Web Keys that comes from `source`, by their ids.

    Raises:
        FairleadError: INVALID_ARGUMENT when it has none, or one that is not taken.
    """
    try:
        keys = json.loads(body)["keys"]
        found = {key["kid"]: _public_key(key) for key in keys if key.get("use", "sig") == "sig"}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, jwt.PyJWTError) as error:
        raise _no_jwks(source, f"{type(error).__name__}: {error}") from error
    if not found:
        raise _no_jwks(source, "it has no key that signs")
    return found


def _public_key(described: Mapping[str, Any]) -> jwt.PyJWK:
    kind = described["kty"], described.get("crv")
    algorithm = _ALGORITHMS.get(kind)
    if algorithm is None or described.get("alg", algorithm) != algorithm:
        raise ValueError(f"a key of the kind {kind} with the algorithm {described.get('alg')} is not taken")
    if "d" in described:
        raise ValueError("a private key has no place there")
    key = jwt.PyJWK(dict(described), algorithm)
    if algorithm == "RS256" and key.key.key_size < _LEAST_RSA_BITS:
        raise ValueError(f"a key of {key.key.key_size} bits is not taken: {_LEAST_RSA_BITS} or more")
    return key


def _no_jwks(source: str, fault: str) -> FairleadError:
    return FairleadError(
        Code.INVALID_ARGUMENT,
        f"{source} is no set of public keys for RS256 and ES256: {fault}",
        hint="each has kid, kty and the public numbers, as the issuer's jwks.json",
    )


def _try_secret(secret: str) -> None:
    """Some texts are no secrets: a public key, for one."""
    try:
        jwt.encode({}, secret, _SECRET_ALGORITHM)
    except jwt.PyJWTError as error:
        raise FairleadError(
            Code.INVALID_ARGUMENT, f"JWT_SECRET_KEY is no secret: {error}", hint="openssl rand -hex 32 makes one"
        ) from error


def _scopes(claims: Mapping[str, Any]) -> frozenset[Scope]:
    """Those that `scope` names, of which others than ours mean nothing here; without it, to predict."""
    if "scope" not in claims:
        return frozenset({Scope.PREDICT})
    words: Sequence[str] = claims["scope"].split() if isinstance(claims["scope"], str) else ()
    return frozenset(_SCOPES[word] for word in words if word in _SCOPES)
