"""What all servers have let in, in Redis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlead.errors import Code, FairleadError

__all__ = ["RedisTotals"]

_TIMEOUT_S = 0.5


class RedisTotals:
    """A counter for each name; a `Totals`.

    Args:
        url: of the server, as redis-py takes it.

    Raises:
        FairleadError: FAILED_PRECONDITION without the library, INVALID_ARGUMENT for what is no URL of a Redis.
    """

    def __init__(self, url: str) -> None:
        try:
            import redis  # noqa: PLC0415 - an optional extra
            from redis.backoff import NoBackoff  # noqa: PLC0415 - likewise
            from redis.retry import Retry  # noqa: PLC0415 - likewise
        except ImportError as error:
            raise FairleadError(
                Code.FAILED_PRECONDITION,
                f"budgets are to be shared, and the library for Redis is not installed: {error}",
                hint="pip install 'fairlead[redis]'",
            ) from error
        self._failures: tuple[type[Exception], ...] = (redis.RedisError, OSError)
        try:
            # Not tried twice: what was added may have been added although the answer was lost.
            self._redis: Any = redis.Redis.from_url(
                url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S, retry=Retry(NoBackoff(), 0)
            )
        except ValueError as error:  # which may have the password in it
            raise FairleadError(
                Code.INVALID_ARGUMENT,
                "FAIRLEAD_REDIS_URL is no URL of a Redis",
                hint="redis://HOST:6379/0 or rediss://:PASSWORD@HOST:6379/0",
            ) from error

    def add(self, taken: Mapping[str, int], lives_s: int) -> Mapping[str, int]:
        pipeline = self._redis.pipeline(transaction=False)
        for name, count in taken.items():
            pipeline.incrby(f"fairlead:{name}", count)
            pipeline.expire(f"fairlead:{name}", lives_s)
        try:
            found = pipeline.execute()
        except self._failures as error:
            raise FairleadError(
                Code.UNAVAILABLE, f"Redis does not answer: {type(error).__name__}", hint="look at FAIRLEAD_REDIS_URL"
            ) from error
        return dict(zip(taken, map(int, found[::2]), strict=True))
