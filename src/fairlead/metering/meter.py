"""Refuses whoever asks for more than their rate or their quota allows."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping

from fairlead.errors import RateLimitError
from fairlead.metering.ledger import Ledger
from fairlead.metering.quota import Quota
from fairlead.metering.rate import Rate

__all__ = ["Account", "Meter", "ModelMeter"]


class Account:
    """Whose requests are counted together, and how many they may be.

    Args:
        kind: what it is of: a word that metrics can count by.
        name: which of that kind; it may be anything.
        shown: as people are told of it.
        rate: how often it may ask; None for as often as one likes.
        quota: how much it may ask in all; None for as much as one likes.
    """

    __slots__ = ("kind", "number", "quota", "quota_number", "rate", "shown")

    def __init__(self, kind: str, name: str, shown: str, rate: Rate | None, quota: Quota | None = None) -> None:
        self.kind = kind
        self.number = _number(f"{kind}:{name}")
        self.quota_number = _number(f"{kind}'s quota:{name}")
        self.shown = shown
        self.rate = rate
        self.quota = quota


class Meter:
    """Charges accounts for requests, in all workers of a server together.

    Args:
        ledger: where what each has used is kept.
        quotas: where that is kept longer than a server lives; None for the same place.
        clock: a nanosecond that all processes of a machine share.
        now: the second since 1970.
    """

    def __init__(
        self,
        ledger: Ledger,
        quotas: Ledger | None = None,
        *,
        clock: Callable[[], int] = time.monotonic_ns,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._ledger = ledger
        self._quotas = quotas or ledger
        self._clock = clock
        self._now = now

    def charge(self, account: Account) -> None:
        """Let the account have one request.

        Raises:
            RateLimitError: when it has had as many as it may.
        """
        if account.rate is not None:
            self._charge(account, account.rate)
        if account.quota is not None:  # last: what is refused uses none of it
            self._count(account, account.quota)

    def _charge(self, account: Account, rate: Rate) -> None:
        cost = rate.interval_ns
        wait = self._ledger.charge(account.number, self._clock(), cost=cost, most=cost * (rate.burst - 1))
        if wait:
            raise RateLimitError(
                f"{account.shown} has had the {rate.count}/{rate.unit} that it may ask for",
                reason=account.kind,
                retry_after_s=wait / 1e9,
            )

    def _count(self, account: Account, quota: Quota) -> None:
        now = self._now()
        end = quota.window(now)[1]  # which names the stretch: the ledger forgets first what is over first
        if not self._quotas.count(account.quota_number, end, quota.count):
            raise RateLimitError(
                f"{account.shown} has had the {quota} that it may ask for",
                reason=f"{account.kind}_quota",
                retry_after_s=end * 3600 - now,
            )


class ModelMeter:
    """Charges models for what is asked of them, whoever asks.

    Args:
        meter: charges.
        rates: by model; that of all others is under the empty name, where they have one.
        quotas: likewise.
    """

    def __init__(self, meter: Meter, rates: Mapping[str, Rate], quotas: Mapping[str, Quota]) -> None:
        self._meter = meter
        self._rates = rates
        self._quotas = quotas
        self._accounts: dict[str, Account | None] = {}

    def charge(self, model: str) -> None:
        """Let the model, one that there is, be asked once.

        Raises:
            RateLimitError: when it has been asked as often, or as much, as it may be.
        """
        account = self._accounts.get(model)
        if account is None and model not in self._accounts:
            account = self._accounts[model] = self._account(model)
        if account is not None:
            self._meter.charge(account)

    def _account(self, model: str) -> Account | None:
        rate = self._rates.get(model) or self._rates.get("")
        quota = self._quotas.get(model) or self._quotas.get("")
        is_free = rate is None and quota is None
        return None if is_free else Account("model", model, f"the model {model}", rate, quota)


def _number(name: str) -> int:
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1 or 1
