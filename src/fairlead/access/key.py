"""An API key as it is kept: what it is good for, and a digest of its secret."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fairlead.access.principal import Principal
from fairlead.access.scope import Scope, parse_scopes, with_implied
from fairlead.metering.meter import Account
from fairlead.metering.quota import Quota
from fairlead.metering.rate import Rate

__all__ = ["FixedKey", "Key", "id_in", "mint"]

_PREFIX = "fl_"
_ID_CHARACTERS = 8
_SECRET_BYTES = 32
_ALPHABET = string.ascii_lowercase + string.digits


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key without its secret.

    Of the secret there is only its SHA-256: it is 32 random bytes, which no one can guess from a digest however fast it
    is to compute. The slow hashes that passwords need would cost each request milliseconds for nothing.

    Attributes:
        id: public; it names the key in lists and commands.
        digest: SHA-256 of the whole key, in hexadecimal digits.
        created, expires: seconds since 1970; a key that does not expire has None.
        is_revoked: whether it is good for nothing any more, whatever else is said here.
        rate: how often it may be shown; None for as often as one likes.
        quota: how much it may be shown in all; None for as much as one likes.
        account: the id of the first of the keys that follow each other by rotation: their requests count together.
    """

    id: str
    name: str
    digest: str
    scopes: frozenset[Scope]
    created: float
    expires: float | None = None
    is_revoked: bool = False
    rate: Rate | None = None
    quota: Quota | None = None
    account: str = ""

    def state(self, now: float) -> str:
        """What it is at the second `now`: "good", "expired" or "revoked"."""
        if self.is_revoked:
            return "revoked"
        return "expired" if self.expires is not None and now >= self.expires else "good"

    def opens(self, credential: bytes, now: float) -> bool:
        """Whether `credential` is this key, and it is still good."""
        is_same = hmac.compare_digest(hashlib.sha256(credential).hexdigest(), self.digest)
        return is_same and self.state(now) == "good"

    def principal(self) -> Principal:
        """Who shows it."""
        name = f"{self.name} ({self.id})"
        account = None if self.rate is None and self.quota is None else self.charged()
        return Principal(name=name, scopes=with_implied(self.scopes), expires=self.expires, account=account)

    def charged(self) -> Account:
        """What its requests are charged to."""
        shown = f"the key {self.name} ({self.id})"
        return Account("key", self.account or self.id, shown, self.rate, self.quota)

    def to_json(self) -> dict[str, Any]:
        """The key as it is kept."""
        return {
            "name": self.name,
            "sha256": self.digest,
            "scopes": sorted(self.scopes),
            "created": _date(self.created),
            "expires": None if self.expires is None else _date(self.expires),
            "revoked": self.is_revoked,
            "rate": None if self.rate is None else str(self.rate),
            "quota": None if self.quota is None else str(self.quota),
            "account": self.account or self.id,
        }

    @staticmethod
    def from_json(id_: str, kept: Mapping[str, Any]) -> Key:
        """The key that was kept.

        Raises:
            FairleadError, KeyError, TypeError, ValueError: when that was no key.
        """
        digest, is_revoked = kept["sha256"], kept["revoked"]
        if len(bytes.fromhex(digest)) != hashlib.sha256().digest_size:
            raise ValueError(f"the digest of {id_} is not one of SHA-256")
        if not isinstance(is_revoked, bool):
            raise TypeError(f"whether {id_} is revoked is neither true nor false")
        return Key(
            id=id_,
            name=str(kept["name"]),
            digest=digest.lower(),
            scopes=parse_scopes(kept["scopes"]),
            created=_second(kept["created"]),
            expires=None if kept["expires"] is None else _second(kept["expires"]),
            is_revoked=is_revoked,
            rate=Rate.parse(kept["rate"]) if kept.get("rate") is not None else None,
            quota=Quota.parse(kept["quota"]) if kept.get("quota") is not None else None,
            account=str(kept.get("account", "")),
        )


class FixedKey:
    """One key that is known in plain, as the one in the environment is.

    Args:
        name: for people.
        secret: the whole key.
        scopes: what it is good for.
    """

    def __init__(self, name: str, secret: str, scopes: frozenset[Scope]) -> None:
        self._digest = hashlib.sha256(secret.encode()).digest()
        self._principal = Principal(name=name, scopes=with_implied(scopes))

    def find(self, credential: bytes, _now: float) -> Principal | None:
        is_same = hmac.compare_digest(hashlib.sha256(credential).digest(), self._digest)
        return self._principal if is_same else None


def mint(
    name: str,
    scopes: frozenset[Scope],
    created: float,
    expires: float | None,
    *,
    rate: Rate | None = None,
    quota: Quota | None = None,
) -> tuple[Key, str]:
    """A new key, and the text that opens: it is told once, and kept nowhere."""
    id_ = "".join(secrets.choice(_ALPHABET) for _ in range(_ID_CHARACTERS))
    text = f"{_PREFIX}{id_}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    key = Key(
        id=id_,
        name=name,
        digest=hashlib.sha256(text.encode()).hexdigest(),
        scopes=scopes,
        created=created,
        expires=expires,
        rate=rate,
        quota=quota,
        account=id_,
    )
    return key, text


def id_in(credential: bytes) -> str:
    """The public part of what claims to be a key; whatever else it is, it names none."""
    text = credential.decode("latin-1")
    return text[len(_PREFIX) :].partition("_")[0] if text.startswith(_PREFIX) else ""


def _date(second: float) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat(timespec="milliseconds")


def _second(date: str) -> float:
    return datetime.fromisoformat(date).timestamp()
