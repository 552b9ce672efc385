"""How long a client waits, as its headers tell: our own name for it, and the one that Envoy sends along."""

from __future__ import annotations

from fairlead.errors import Code, FairleadError
from fairlead.transport.codes import Headers

__all__ = ["asked_deadline", "earlier"]

_NAMES = frozenset({b"x-request-timeout-ms", b"x-envoy-expected-rq-timeout-ms"})
_DIGITS = 12


def asked_deadline(headers: Headers, since: float) -> float | None:
    """The earliest deadline that `headers` ask for, as a monotonic second; None when they ask for none.

    Args:
        headers: names in lower case.
        since: the monotonic second from which the milliseconds count.

    Raises:
        FairleadError: INVALID_ARGUMENT when a value is no whole number from 1 on.
    """
    deadline: float | None = None
    for name, value in headers:
        if name in _NAMES:
            deadline = earlier(deadline, since + _milliseconds(name, value) / 1000)
    return deadline


def earlier(one: float | None, other: float | None) -> float | None:
    """The earlier of two deadlines, either of which there may not be."""
    if one is None or other is None:
        return one if other is None else other
    return min(one, other)


def _milliseconds(name: bytes, value: bytes) -> int:
    if not value.isdigit() or len(value) > _DIGITS or not int(value):
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            f"{name.decode()} is {value[:80].decode('latin-1')!r}, which is no time to wait",
            hint="it is a whole number of milliseconds from 1 on",
        )
    return int(value)
