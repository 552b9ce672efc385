"""What commands that look at the control plane share: a database that is there, and who leads."""

from __future__ import annotations

from sqlalchemy import Engine
from sqlalchemy.exc import ArgumentError

from fairlead.app.control import open_database, places
from fairlead.app.releases import now
from fairlead.config import Settings
from fairlead.controller.database_copy import is_empty_database
from fairlead.controller.lease import LEADER, Holding, Lease
from fairlead.controller.restore import finish_restore

__all__ = ["find_database", "find_leader"]


def find_database(settings: Settings) -> Engine | None:
    """The database with its tables up to date; None when there is none. Looking makes none.

    An empty one that a look had made would stand in the way of a restore.

    Raises:
        FairleadError: as `open_database`.
    """
    finish_restore(places(settings))
    try:
        is_empty = is_empty_database(settings.database)
    except ArgumentError:
        is_empty = False  # opening it says what is wrong with its URL
    return None if is_empty else open_database(settings)


def find_leader(engine: Engine) -> Holding | None:
    """The controller that leads now; None when none does, and so nothing goes on.

    Raises:
        FairleadError: UNAVAILABLE when the database does not answer.
    """
    holding = Lease(engine, name=LEADER, holder="", now=now).look()
    return holding if holding is not None and holding.until > now() else None
