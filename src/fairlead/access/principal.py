"""Who asks, once their credential was found to be good."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from fairlead.access.scope import Scope
from fairlead.metering.meter import Account

__all__ = ["Credentials", "Principal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who asks.

    Attributes:
        name: for people; it is no secret.
        scopes: what they may ask for, what is implied included.
        expires: the second since 1970 from which on the credential is good for nothing; None for never.
        account: what their requests are charged to; None when they may ask as often as they like.
    """

    name: str
    scopes: frozenset[Scope]
    expires: float | None = None
    account: Account | None = None


class Credentials(Protocol):
    """Credentials of one kind."""

    def find(self, credential: bytes, now: float, /) -> Principal | None:
        """Whose credential it is at the second `now` since 1970; None when it is nobody's, or no longer good."""
