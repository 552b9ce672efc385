"""What people should look at: alarms, rollouts that wait, trainings that failed, releases that cannot be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from fairlead.app.console.records import Records
from fairlead.app.control import open_journal
from fairlead.app.releases import now
from fairlead.controller.journal import Action, Entry
from fairlead.errors import FairleadError

__all__ = ["Attention"]

_FOR = timedelta(days=1)
_ENTRIES_READ, _MOST = 200, 8
_PAGES: Mapping[str, str] = {
    Action.ALARMED: "/drift",
    Action.HELD: "/rollouts",
    Action.FAILED: "/training",
    Action.REFUSED: "/training",
}


class Attention:
    """Finds it in the journal of the last day, and in what could not be read.

    Args:
        records: the database with the journal.
    """

    def __init__(self, records: Records) -> None:
        self._records = records

    def find(self, models: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The newest first; `models` are those of the overview."""
        damaged = [_line(one["problem"], "/models", one["model"]) for one in models if one["problem"]]
        try:
            engine = self._records.find()
            entries = open_journal(engine).read(limit=_ENTRIES_READ) if engine is not None else ()
        except FairleadError as error:
            return [*damaged, _line(f"The database cannot be read: {error.message}", "/journal", "")]
        return [*damaged, *_told(entries)][:_MOST]


def _told(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """One line for each thing that still stands: a model that was released since has been looked at."""
    since, done, found = now() - _FOR, set[str](), []
    for one in entries:
        if one.action in (Action.PROMOTED, Action.ROLLED_BACK, Action.ABORTED):
            done.add(one.model)
        elif one.at >= since and one.model not in done and (page := _PAGES.get(one.action)) is not None:
            text = f"{one.model} {one.subject} {one.action}: {one.why}"
            found.append({**_line(text, page, one.model), "at_us": int(one.at.timestamp() * 1e6)})
    return found


def _line(text: str, page: str, model: str) -> dict[str, Any]:
    return {"text": text, "page": page, "model": model, "at_us": None}
