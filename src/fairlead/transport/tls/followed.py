"""The TLS of a port as its process knows it: read again when the files change, kept when they are no good."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable

from fairlead.errors import FairleadError
from fairlead.transport.tls.certificate import Certificate
from fairlead.transport.tls.files import TlsFiles

__all__ = ["FollowedTls"]

_LOOK_S = 0.4


class FollowedTls:
    """What new connections are begun with. Those that are open keep what they began with.

    Args:
        files: what it is made of.
        protocol: what is spoken inside, by its name in ALPN.
        failed: called for each handshake that fails.
        clock: a monotonic second.
        now: the second since 1970.

    Attributes:
        failed: as above.
        certificate: what clients are shown.
        fault: why the files as they are now were not taken; None when they were.

    Raises:
        FairleadError: when the files are no good now.
    """

    def __init__(
        self,
        files: TlsFiles,
        protocol: str,
        *,
        failed: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._files = files
        self._protocol = protocol
        self.failed = failed
        self._clock = clock
        self._now = now
        self._looked = clock()
        self._stamp = files.stamp()
        loaded = files.load(protocol, now=now)
        self._context = loaded.context
        self.certificate: Certificate = loaded.certificate
        self.fault: FairleadError | None = None

    def context(self) -> ssl.SSLContext:
        """What a connection that begins now is begun with."""
        self.look()
        return self._context

    def look(self) -> bool:
        """Take up what changed; whether anything did. It costs nothing to call it too often."""
        looked = self._clock()
        if looked < self._looked + _LOOK_S:
            return False
        self._looked = looked
        stamp = self._files.stamp()
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        try:
            loaded = self._files.load(self._protocol, now=self._now)
        except FairleadError as error:
            self.fault = error
        else:
            self._context, self.certificate, self.fault = loaded.context, loaded.certificate, None
        return True
