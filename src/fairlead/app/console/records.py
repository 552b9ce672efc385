"""The database as the console has it: opened when it is there, and made by nobody who only looks."""

from __future__ import annotations

import threading

from sqlalchemy import Engine

from fairlead.app.looking import find_database
from fairlead.config import Settings
from fairlead.errors import Code, FairleadError

__all__ = ["Records"]


class Records:
    """The database, once there is one. Used by several threads.

    Args:
        settings: say where it is.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._engine: Engine | None = None

    def find(self) -> Engine | None:
        """The database; None while there is none.

        Raises:
            FairleadError: UNAVAILABLE when it does not answer, and as `open_database`.
        """
        with self._lock:
            if self._engine is None and self._settings.can_log:
                self._engine = find_database(self._settings)
            return self._engine

    def require(self) -> Engine:
        """The database.

        Raises:
            FairleadError: as `find`; FAILED_PRECONDITION while there is none.
        """
        engine = self.find()
        if engine is None:
            raise FairleadError(
                Code.FAILED_PRECONDITION,
                "there is no database yet: nothing was logged",
                hint="fairlead serve --prediction-log on",
            )
        return engine
