"""The journal as the console shows it."""

from __future__ import annotations

from fairlead.app.console.records import Records
from fairlead.app.control import open_journal
from fairlead.console.ports import Document
from fairlead.store.store import Store

__all__ = ["LiveJournal"]

_PAGE = 50


class LiveJournal:
    """A `JournalView` of the running system.

    Args:
        records: the database with the journal.
        store: knows the models.
    """

    def __init__(self, records: Records, store: Store) -> None:
        self._records = records
        self._store = store

    def journal(self, model: str | None, after: int | None) -> Document:
        engine = self._records.find()
        entries = open_journal(engine).read(model, limit=_PAGE, after=after) if engine is not None else ()
        return {
            "model": model,
            "models": list(self._store.models()),
            "entries": [{**one.to_json(), "at_us": int(one.at.timestamp() * 1e6)} for one in entries],
            "older": entries[-1].seq if len(entries) == _PAGE else None,
        }
