"""When a call is made again: after pauses that grow, as long as its deadline and the client's budget allow."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Final

from fairlead.client.call_error import CallError
from fairlead.errors import FairleadError

__all__ = ["Attempts", "Budget"]

_FIRST_S: Final = 0.1
_LONGEST_S: Final = 2.0
_MOST_TOKENS: Final = 100.0
_PER_SUCCESS: Final = 0.1
_DOUBLINGS: Final = 10
"""Enough for the longest pause, and few enough for a float."""


class Budget:
    """Keeps all calls of a client from asking again and again what cannot answer. Threads may share it.

    As gRPC does: a failure takes a token, a success gives a tenth of one back, and with half of them gone nothing is
    retried. So a server that is in trouble gets at most a tenth more requests than it would without retries.
    """

    def __init__(self) -> None:
        self._tokens = _MOST_TOKENS
        self._lock = threading.Lock()

    def succeeded(self) -> None:
        """Give a part of a token back."""
        with self._lock:
            self._tokens = min(_MOST_TOKENS, self._tokens + _PER_SUCCESS)

    def failed(self) -> bool:
        """Take a token; whether another attempt may be made."""
        with self._lock:
            self._tokens = max(0.0, self._tokens - 1)
            return self._tokens > _MOST_TOKENS / 2


class Attempts:
    """Those of one call.

    Args:
        retries: how often it may be made again.
        deadline: the monotonic second at which its time is over.
        budget: of the client.
        clock: monotonic seconds.
        jitter: a random number between two.
    """

    def __init__(
        self,
        retries: int,
        deadline: float,
        budget: Budget,
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._retries = retries
        self._deadline = deadline
        self._budget = budget
        self._clock = clock
        self._jitter = jitter
        self._made = 0

    def succeeded(self) -> None:
        """Note that the call was answered, be it with a refusal that no other attempt would change."""
        self._budget.succeeded()

    def pause(self, error: FairleadError) -> float:
        """How long to wait after `error` before the next attempt, in seconds.

        Up to twice as long each time, at random from nothing on, so that clients which failed together do not come back
        together; and after what the server says, if it says when.

        Raises:
            FairleadError: `error`, when there is no next attempt: it would not help, there were enough, or the deadline
                comes before.
        """
        if not isinstance(error, CallError) or not error.is_passing:
            self._budget.succeeded()
            raise error
        has_budget = self._budget.failed()
        longest = min(_LONGEST_S, _FIRST_S * 2 ** min(self._made, _DOUBLINGS))
        pause = error.retry_after_s + self._jitter(0.0, longest)
        self._made += 1
        if not has_budget or self._made > self._retries or self._clock() + pause >= self._deadline:
            raise error
        return pause
