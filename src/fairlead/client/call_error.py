"""What a call that failed tells a client beyond code, sentence and hint: whether asking again is safe, and when."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httptools

from fairlead.errors import Code, FairleadError

__all__ = ["CallError", "StaleError", "closed", "left", "told", "unreadable"]


class CallError(FairleadError):
    """A server, or the way to it, did not answer well.

    Args:
        code: the canonical code.
        message: as for every error.
        hint: as for every error.
        is_passing: whether the same may be asked again.
        retry_after_s: when, if the server says so.
    """

    def __init__(
        self, code: Code, message: str, *, hint: str = "", is_passing: bool = False, retry_after_s: float = 0.0
    ) -> None:
        super().__init__(code, message, hint=hint)
        self.is_passing = is_passing
        self.retry_after_s = retry_after_s


class StaleError(EOFError):
    """A connection ended before a byte of the answer came, as one does that was kept for too long."""


def left(deadline: float) -> float:
    """The seconds until that monotonic second.

    Raises:
        TimeoutError: when there are none.
    """
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


@contextmanager
def told(where: str) -> Iterator[None]:
    """What breaks on the way to the server at `where`, as the error that the caller gets."""
    try:
        yield
    except TimeoutError as error:
        raise _late(where) from error
    except ssl.SSLError as error:
        raise (_cut_short if isinstance(error, ssl.SSLEOFError) else _untrusted)(where, error) from error
    except (OSError, EOFError) as error:
        raise _cut_short(where, error) from error
    except httptools.HttpParserError as error:
        raise unreadable(where, error) from error


def closed() -> FairleadError:
    """The client was used after its end."""
    return FairleadError(Code.FAILED_PRECONDITION, "the client is closed", hint="make another: fairlead.Client(URL)")


def _cut_short(where: str, reason: object) -> CallError:
    """There is no way to the server, or it ended before the answer did."""
    message = f"{where} does not answer: {reason or 'the connection ended'}"
    return CallError(Code.UNAVAILABLE, message, hint="does the server run, at this address?", is_passing=True)


def _late(where: str) -> CallError:
    """The time for the call is over."""
    return CallError(
        Code.DEADLINE_EXCEEDED, f"{where} did not answer in time", hint="give it more by deadline_s or timeout_s"
    )


def _untrusted(where: str, reason: object) -> CallError:
    """TLS ended the connection for a reason that another attempt does not change."""
    return CallError(
        Code.FAILED_PRECONDITION,
        f"TLS with {where} fails: {reason}",
        hint="ca_file= names whom to trust, certificate_file= and key_file= what to show",
    )


def unreadable(where: str, reason: object) -> CallError:
    """What came is no answer in the protocol."""
    return CallError(
        Code.DATA_LOSS,
        f"what {where} answers cannot be read: {reason}",
        hint="is it this port that speaks this protocol? http:// is REST, grpc:// is gRPC",
    )
