"""How much a peer may ask for that brings nothing."""

from __future__ import annotations

import time
from collections.abc import Callable

from fairlead.transport.grpc.frames import ErrorCode, Http2Error

__all__ = ["Patience"]

_MOST = 1000
_REGAINED_PER_S = 100
_REGAINED_PER_ANSWER = 16


class Patience:
    """An allowance of frames that cost the server work and bring no request nearer to its answer.

    PING, SETTINGS, RST_STREAM, empty frames and the like are all right now and then, or beside real work. Sent for
    nothing else they are how a server is kept busy (CVE-2019-9512 to 9518, CVE-2023-44487), which ends the connection.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._left = _MOST
        self._looked_at = clock()

    def spend(self, what: str) -> None:
        """Count one frame.

        Raises:
            Http2Error: ENHANCE_YOUR_CALM when there were too many.
        """
        self._left -= 1
        if self._left < 0:
            self._regain()
            if self._left < 0:
                raise Http2Error(ErrorCode.ENHANCE_YOUR_CALM, f"too many frames that bring nothing, lately {what}")

    def earn(self) -> None:
        """A request was answered."""
        if self._left < _MOST:
            self._left += _REGAINED_PER_ANSWER

    def _regain(self) -> None:
        """What time gives back; the clock is asked only when the allowance is used up."""
        now = self._clock()
        self._left += min(_MOST, int((now - self._looked_at) * _REGAINED_PER_S))
        self._looked_at = now
