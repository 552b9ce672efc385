"""The keys of a file as a server knows them: read again when the file changes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping

from fairlead.access.key import Key, id_in
from fairlead.access.key_file import KeyFile
from fairlead.access.principal import Principal
from fairlead.errors import FairleadError

__all__ = ["FollowedKeys"]

_LOOK_S = 0.4
_log = logging.getLogger(__name__)


class FollowedKeys:
    """Finds keys of `file`. One that cannot be read, or is gone, changes nothing but the log.

    Args:
        file: where the keys are.
        clock: a monotonic second.

    Raises:
        FairleadError: when the file cannot be read now.
    """

    def __init__(self, file: KeyFile, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._file = file
        self._clock = clock
        self._looked = clock()
        self._stamp = file.stamp()
        self._keys: Mapping[str, Key] = file.read()

    def find(self, credential: bytes, now: float) -> Principal | None:
        self._look()
        key = self._keys.get(id_in(credential))
        return key.principal() if key is not None and key.opens(credential, now) else None

    def _look(self) -> None:
        looked = self._clock()
        if looked < self._looked + _LOOK_S:
            return
        self._looked = looked
        stamp = self._file.stamp()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        if stamp is None:
            _log.error("%s is gone: the keys that were in it stay as they were", self._file.path)
            return
        try:
            self._keys = self._file.read()
        except FairleadError as error:
            _log.error("the keys stay as they were: %s", error)
