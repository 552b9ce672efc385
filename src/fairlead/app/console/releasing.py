"""What people do to releases in the console: done in the store, written down in the journal."""

from __future__ import annotations

import logging

from fairlead.app.console.records import Records
from fairlead.app.control import open_journal
from fairlead.app.releases import follow, open_writable_store
from fairlead.config import Settings
from fairlead.console.ports import Done
from fairlead.controller.journal import Action
from fairlead.errors import FairleadError
from fairlead.servable.identity import ServableId
from fairlead.store.release import Release

__all__ = ["LiveReleases"]

_log = logging.getLogger(__name__)


class LiveReleases:
    """The `ReleaseActions` of the running system. A release needs the store alone; the journal follows where it can.

    Args:
        settings: say where everything is.
        records: the database with the journal.
    """

    def __init__(self, settings: Settings, records: Records) -> None:
        self._settings = settings
        self._records = records

    def promote(self, user: str, model: str, version: int, why: str) -> Done:
        store = open_writable_store(self._settings, user)
        before = store.in_force(model)
        release = store.promote(ServableId(model, version), why=why)
        return self._done(user, Action.PROMOTED, before, release, model)

    def rollback(self, user: str, model: str, version: int, why: str) -> Done:
        store = open_writable_store(self._settings, user)
        before = store.in_force(model)
        release = store.rollback(model, why=why, to=version).release
        return self._done(user, Action.ROLLED_BACK, before, release, model)

    def _done(self, user: str, action: Action, before: Release | None, after: Release, model: str) -> Done:
        """Write it down, and tell. The subject of a rollback is the version that went, as in a rollout."""
        if before is not None and before.revision == after.revision:
            return Done(text=f"Version {after.stable} of {model} served already; nothing was changed.")
        left = before.stable if before else None
        is_rollback = action is Action.ROLLED_BACK
        text = f"Version {after.stable} of {model} serves: release {after.revision}."
        try:
            engine = self._records.find()
            if engine is not None:
                open_journal(engine, user).write(
                    action,
                    model=model,
                    subject=str(left if is_rollback and left is not None else after.stable),
                    why=after.why,
                    evidence={"revision": after.revision, "stable": after.stable, "before": left},
                )
        except FairleadError as error:  # what was done stays done
            text += f" The journal could not note it: {error.message}."
        store = open_writable_store(self._settings, user)
        return Done(text=text, after=lambda: follow(self._settings, store, model, _log.warning))
