"""Lets in who may ask: the one place where credentials are judged, whatever the protocol."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from fairlead.access.principal import Credentials, Principal
from fairlead.access.scope import Scope
from fairlead.errors import Code, FairleadError
from fairlead.metering.meter import Meter

__all__ = ["Doorkeeper"]

_REMEMBER_S = 0.4
_MOST_REMEMBERED = 1024
_MOST_BYTES = 8192
_NO_SCOPES: frozenset[Scope] = frozenset()


class Doorkeeper:
    """Judges credentials, and remembers the good ones for a moment: what was revoked is refused within a second.

    Args:
        kinds: where a credential is looked for, one after the other.
        open_to: what whoever shows none may ask for.
        meter: charges for requests; None where they are not counted.
        clock: a monotonic second.
        now: the second since 1970.
    """

    def __init__(
        self,
        kinds: Sequence[Credentials],
        *,
        open_to: frozenset[Scope] = _NO_SCOPES,
        meter: Meter | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._kinds = tuple(kinds)
        self._anyone = Principal(name="", scopes=open_to)
        self._meter = meter
        self._clock = clock
        self._now = now
        self._remembered: dict[bytes, tuple[Principal, float]] = {}

    def admit(self, credential: bytes, scope: Scope, *, counts: bool = True) -> Principal:
        """Who shows `credential`, which is empty when they show none. What is open to all asks for no good one.

        Args:
            credential: what is shown.
            scope: what is asked for.
            counts: whether it is one more request, and not part of one that was admitted.

        Raises:
            FairleadError: UNAUTHENTICATED when it is not good, in the same words whatever is wrong with it;
                PERMISSION_DENIED when it is not good for `scope`; RateLimitError when they have asked too often.
        """
        remembered = self._remembered.get(credential)
        if remembered is not None and self._clock() < remembered[1]:
            principal: Principal | None = remembered[0]
        else:
            principal = self._find(credential)
        if principal is not None and scope in principal.scopes:
            if counts and principal.account is not None and self._meter is not None:
                self._meter.charge(principal.account)
            return principal
        if scope in self._anyone.scopes:
            return self._anyone
        if principal is None:
            raise FairleadError(
                Code.UNAUTHENTICATED,
                "This needs a credential that is good",
                hint="send it as Authorization: Bearer KEY or x-api-key: KEY",
            )
        raise FairleadError(
            Code.PERMISSION_DENIED,
            f"This needs the scope {scope.value}, which the credential does not have",
            hint=f"fairlead keys create NAME --scope {scope.value}",
        )

    def _find(self, credential: bytes) -> Principal | None:
        self._remembered.pop(credential, None)
        now = self._now()
        for kind in self._kinds if 0 < len(credential) <= _MOST_BYTES else ():
            principal = kind.find(credential, now)
            if principal is not None:
                self._remember(credential, principal, now)
                return principal
        return None

    def _remember(self, credential: bytes, principal: Principal, now: float) -> None:
        if len(self._remembered) >= _MOST_REMEMBERED:
            self._remembered.clear()
        lives_s = _REMEMBER_S if principal.expires is None else min(_REMEMBER_S, principal.expires - now)
        self._remembered[credential] = principal, self._clock() + lives_s
