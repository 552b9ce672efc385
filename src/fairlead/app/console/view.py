"""What the console shows, read from the store, the database and the server's own counts."""

from __future__ import annotations

from typing import Any

from fairlead.app.console.records import Records
from fairlead.app.releases import open_store
from fairlead.config import Settings
from fairlead.console.ports import Document
from fairlead.console.traffic import History
from fairlead.errors import FairleadError
from fairlead.store.store import Store

__all__ = ["LiveView"]


class LiveView:
    """A `SystemView` of the running system.

    Args:
        settings: say where everything is.
        records: the database.
        history: of the server's counts.
    """

    def __init__(self, settings: Settings, records: Records, history: History) -> None:
        self._records = records
        self._history = history
        self._store = open_store(settings)

    def overview(self) -> Document:
        traffic = self._history.to_json()
        models = [_model(self._store, model) for model in self._store.models()]
        return {"traffic": traffic, "models": models, "tiles": _tiles(traffic, models)}


def _model(store: Store, model: str) -> dict[str, Any]:
    """What serves of a model, and since when."""
    try:
        release = store.release(model)
    except FairleadError as error:
        return {
            "model": model,
            "stable": None,
            "candidate": None,
            "revision": None,
            "who": "",
            "why": error.message,
            "at": "",
        }
    if release is None:
        return {"model": model, "stable": None, "candidate": None, "revision": None, "who": "", "why": "", "at": ""}
    return {
        "model": model,
        "stable": release.stable,
        "candidate": release.candidate and release.candidate.to_json(),
        "revision": release.revision,
        "who": release.who,
        "why": release.why,
        "at": f"{release.at:%Y-%m-%d %H:%M:%S}",
    }


def _tiles(traffic: dict[str, Any], models: list[dict[str, Any]]) -> list[dict[str, str]]:
    """The few figures to look at first."""
    ready = _last(traffic["gauges"]["fairlead_workers_ready"])
    rate = sum(_last(values) or 0.0 for values in traffic["rate"].values())
    p95 = _last(traffic["latency"]["p95"])
    tried = [one for one in models if one["candidate"]]
    return [
        {
            "name": "Workers ready",
            "value": "-" if ready is None else f"{ready:.0f}",
            "detail": "",
            "kind": "bad" if ready == 0 else "plain",
        },
        {"name": "Requests a second", "value": f"{rate:,.1f}", "detail": "", "kind": "plain"},
        {"name": "p95", "value": "-" if p95 is None else f"{1000 * p95:.3g} ms", "detail": "", "kind": "plain"},
        {
            "name": "Tried beside the stable version",
            "value": str(len(tried)),
            "detail": ", ".join(f"{one['model']}@{one['candidate']['version']}" for one in tried),
            "kind": "busy" if tried else "plain",
        },
    ]


def _last(values: list[float | None]) -> float | None:
    return values[-1] if values else None
