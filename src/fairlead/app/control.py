"""What commands of the control plane share: the database, the journal, the rollouts, in the user's name."""

from __future__ import annotations

import time
from pathlib import Path

from sqlalchemy import Engine

from fairlead.app.releases import now, open_writable_store
from fairlead.app.user import user_name
from fairlead.config import Settings
from fairlead.controller.backup import Places
from fairlead.controller.journal import Journal
from fairlead.controller.restore import finish_restore
from fairlead.controller.rollouts import Rollouts
from fairlead.database.engine import migrate, open_engine
from fairlead.errors import FairleadError
from fairlead.monitoring.feedback import Feedback
from fairlead.monitoring.retention import Records
from fairlead.servable.identity import ServableId
from fairlead.store.store import Store

__all__ = [
    "backup_root",
    "kept_days",
    "now_us",
    "open_database",
    "open_feedback",
    "open_journal",
    "open_rollouts",
    "places",
]

_HORIZON_US = 7 * 24 * 3600 * 1_000_000
"""A prediction that was made longer ago and is not in the log will not come any more."""

_KEEP_TALLIES_DAYS, _KEEP_DEAD_LETTERS_DAYS = 365, 30


def now_us() -> int:
    """The time, in microseconds since 1970."""
    return time.time_ns() // 1000


def open_database(settings: Settings) -> Engine:
    """The database with its tables up to date, after a restore that was killed has been carried to its end.

    Raises:
        FairleadError: INVALID_ARGUMENT for its URL, UNAVAILABLE when it does not answer.
    """
    finish_restore(places(settings))
    engine = open_engine(settings.database)
    migrate(engine)
    return engine


def open_journal(engine: Engine, who: str = "") -> Journal:
    """The journal, written in the name of `who`, else of whoever runs this."""
    return Journal(engine, now=now, who=who or user_name())


def open_feedback(engine: Engine, store: Store) -> Feedback:
    """What takes labels in: of the classes that a version's manifest names; any where it names none or is gone."""

    def classes_of(model: str, version: int) -> tuple[str, ...] | None:
        try:
            return store.manifest(ServableId(model, version)).labels or None
        except FairleadError:
            return None

    return Feedback(engine, now_us=now_us, classes_of=classes_of, horizon_us=_HORIZON_US)


def open_rollouts(settings: Settings, engine: Engine, who: str = "") -> Rollouts:
    """The rollouts of the store, as a person sees and changes them: `who`, else whoever runs this."""
    store, journal = open_writable_store(settings, who), open_journal(engine, who)
    return Rollouts(engine, store, journal, now_us=now_us, who="controller")


def places(settings: Settings) -> Places:
    """What a backup holds: the store, the database, and the registry where it is the embedded one.

    Of a store in a bucket it is this host's copy.
    """
    registry = None if settings.tracking_uri else settings.home / "mlflow.db"
    return Places(store=settings.store_path, database_url=settings.database, registry=registry)


def kept_days(settings: Settings) -> dict[Records, int]:
    """For how many days each class of data is kept, in the order in which they are looked at."""
    return {
        Records.PREDICTIONS: settings.keep_predictions_days,
        Records.PAYLOADS: settings.keep_inputs_days,
        Records.LABELS: settings.keep_labels_days,
        Records.TALLIES: _KEEP_TALLIES_DAYS,
        Records.DEAD_LETTERS: _KEEP_DEAD_LETTERS_DAYS,
    }


def backup_root(settings: Settings) -> Path:
    """Where backups are kept."""
    return settings.home / "backups"
