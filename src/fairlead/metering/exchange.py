"""Lets the servers of several hosts have one budget: each tells the others what it let in."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Protocol

from fairlead.errors import FairleadError
from fairlead.metering.ledger import Ledger

__all__ = ["Exchange", "Totals", "share_quotas"]

_WEIGHT = 0.1
_RATE_LIVES_S = 7200
"""Longer than any rate takes to bring one more."""

_QUOTA_LIVES_S = 40 * 86400
"""Longer than a month."""


class Totals(Protocol):
    """What all servers together have let in, by account; a place that all of them reach."""

    def add(self, taken: Mapping[str, int], lives_s: int) -> Mapping[str, int]:
        """Add what this server has let in since the last time, and say what all have, by the same names.

        A name may be forgotten when nothing was added to it for `lives_s` seconds.

        Raises:
            FairleadError: UNAVAILABLE when it cannot be reached.
        """


class Exchange:
    """Charges a server's accounts for what the other servers let in, a step at a time.

    A request never waits for it. What the others let in is charged a step late; while they cannot be heard they are
    taken to go on as they did lately, so that each server keeps about the share that it had.

    Args:
        ledger: of the server.
        totals: where the servers meet.
        clock: as that of the meter.
    """

    def __init__(self, ledger: Ledger, totals: Totals, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._ledger = ledger
        self._totals = totals
        self._clock = clock
        self._told: dict[int, int] = {}
        self._heard: dict[int, int] = {}
        self._usual: dict[int, float] = {}  # what the others let in, by account: requests a second, smoothed
        self._stepped = clock()

    def step(self) -> None:
        """Tell and hear.

        Raises:
            FairleadError: UNAVAILABLE when there is nobody to tell; what was let in meanwhile is told to nobody later.
        """
        now = self._clock()
        passed_s, self._stepped = max(now - self._stepped, 1) / 1e9, now
        taken = self._ledger.taken(now)
        own = {account: self._news(account, count) for account, count in taken.items()}
        self._told = taken
        try:
            totals = self._add(own)
        except FairleadError:
            self._heard.clear()  # or what the others let in until they are heard again was charged twice
            self._charge({account: pace * passed_s for account, pace in self._usual.items()}, now)
            raise
        others = {
            account: max(0, total - self._heard.get(account, total - own[account]) - own[account])
            for account, total in totals.items()
        }
        self._heard = dict(totals)
        self._usual = {account: self._smoothed(account, count / passed_s) for account, count in others.items()}
        self._charge(others, now)

    def _add(self, own: Mapping[int, int]) -> Mapping[int, int]:
        named = {f"rate:{account:x}": account for account in own}
        if not named:
            return {}
        totals = self._totals.add({name: own[account] for name, account in named.items()}, _RATE_LIVES_S)
        return {named[name]: total for name, total in totals.items()}

    def _news(self, account: int, count: int) -> int:
        """What was let in since the last step; an account that was forgotten meanwhile has begun to count anew."""
        told = self._told.get(account, 0)
        return count - told if count >= told else count

    def _smoothed(self, account: int, pace: float) -> float:
        return pace + (1 - _WEIGHT) * (self._usual.get(account, pace) - pace)

    def _charge(self, others: Mapping[int, float], now: int) -> None:
        for account, count in others.items():
            if count:
                self._ledger.add(account, now, count)


def share_quotas(ledger: Ledger, totals: Totals) -> None:
    """Tell what was used of quotas here, and hear what all have used; what cannot be told now is told later.

    Raises:
        FairleadError: UNAVAILABLE when there is nobody to tell.
    """
    named = {
        f"quota:{account:x}:{window}": (account, window, used) for (account, window), used in ledger.untold().items()
    }
    if named:
        found = totals.add({name: used for name, (_, _, used) in named.items()}, _QUOTA_LIVES_S)
        for name, total in found.items():
            account, window, told = named[name]
            ledger.settle(account, window, told=told, total=total)
