"""Who may wait, and who is refused at once."""

from __future__ import annotations

import time
from collections.abc import Callable

from fairlead.errors import OverloadError
from fairlead.serving.lane import Lane

__all__ = ["Admission"]

_SHORT_QUEUE_S = 0.1
_CALM_S = 1.0


class Admission:
    """Bounds on what waits.

    A long queue is no overload by itself: a burst makes one, and so do a thousand clients that each wait for their
    answer before they ask again. But once a bound has been met, more comes than can be answered, and a long queue would
    only make every answer late. From then on a tenth of a second of work may wait, or two batches where one takes
    longer, until nobody had to be refused for a second.

    Of several tenants none can keep the others out. Where a bound is met, one that holds fewer requests than they do on
    average is let in all the same, up to twice the bound; who holds more is refused until there is room.

    A version in a process of its own may hang, and then its pace says nothing of what waits: half of all requests may
    wait for it at most, so that others have room.

    Args:
        max_in_flight: how many requests are held, those that wait included.
        max_queue_s: seconds of work that may wait for a version.
        clock: monotonic seconds.
    """

    def __init__(self, *, max_in_flight: int, max_queue_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_in_flight = max_in_flight
        self._most_elsewhere = max(1, max_in_flight // 2)
        self._max_queue_s = max_queue_s
        self._clock = clock
        self._refused_at = float("-inf")
        self._held: dict[str, int] = {}

    def hold(self, tenant: str | None) -> None:
        """Count a request that is held from now on, if it is of a tenant."""
        if tenant is not None:
            self._held[tenant] = self._held.get(tenant, 0) + 1

    def let_go(self, tenant: str | None) -> None:
        """Count it no longer."""
        if tenant is None:
            return
        count = self._held[tenant] - 1
        if count:
            self._held[tenant] = count
        else:
            del self._held[tenant]

    def check_room(self, in_flight: int, tenant: str | None = None) -> None:
        """Raise OverloadError unless one more request than `in_flight` may be held, one of the tenant if it has one."""
        if in_flight >= self._max_in_flight:
            if in_flight < 2 * self._max_in_flight and self._is_below_share(tenant):
                return
            self._refused_at = self._clock()
            raise OverloadError(
                f"{in_flight} requests are in flight, the most this server holds",
                reason="in_flight",
                hint="try again shortly, or raise FAIRLEAD_MAX_IN_FLIGHT",
            )

    def check_queue(self, lane: Lane, tenant: str | None = None) -> None:
        """Raise OverloadError unless one more request may wait in `lane`, one of the tenant if it has one."""
        if lane.is_elsewhere and lane.depth >= self._most_elsewhere:
            raise OverloadError(
                f"{lane.depth} requests wait for {lane.model} already, half of what this server holds",
                reason="queue",
                hint="try again shortly, or raise FAIRLEAD_MAX_IN_FLIGHT",
            )
        wait_s = lane.waiting_rows * (lane.pace_s or 0.0) / lane.most_running
        if wait_s <= min(_SHORT_QUEUE_S, self._max_queue_s):
            return
        now = self._clock()
        is_overloaded = now - max(self._refused_at, lane.refused_at) < _CALM_S
        most_s = self._short_queue_s(lane) if is_overloaded else self._max_queue_s
        if wait_s > most_s:
            if wait_s <= 2 * most_s and self._is_below_share(tenant):
                return
            lane.refused_at = now
            raise OverloadError(
                f"{lane.waiting_rows} rows wait already, {wait_s:.1f} s of work",
                reason="queue",
                hint="try again shortly, or raise FAIRLEAD_MAX_QUEUE_S",
            )

    def _is_below_share(self, tenant: str | None) -> bool:
        """Whether the tenant holds fewer requests than the tenants do on average."""
        if tenant is None:
            return False
        mine = self._held.get(tenant, 0)
        tenants = len(self._held) + (not mine)
        return mine * tenants < sum(self._held.values())

    def _short_queue_s(self, lane: Lane) -> float:
        batch_s = lane.max_rows * (lane.pace_s or 0.0)
        return min(max(_SHORT_QUEUE_S, 2 * batch_s), self._max_queue_s)
