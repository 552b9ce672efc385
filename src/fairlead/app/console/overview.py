"""The first page as the console shows it: the server's own counts, and what serves."""

from __future__ import annotations

from typing import Any

from fairlead.app.console.attention import Attention
from fairlead.app.console.models import LiveModels
from fairlead.console.ports import Document
from fairlead.console.traffic import History

__all__ = ["LiveOverview"]


class LiveOverview:
    """An `OverviewView` of the running system.

    Args:
        models: what there is.
        history: of the server's counts.
        attention: what people should look at.
    """

    def __init__(self, models: LiveModels, history: History, attention: Attention) -> None:
        self._models = models
        self._attention = attention
        self._history = history

    def overview(self) -> Document:
        traffic, models = self._history.to_json(), self._models.models()["models"]
        attention = self._attention.find(models)
        return {"traffic": traffic, "models": models, "attention": attention, "tiles": _tiles(traffic, models)}


def _tiles(traffic: dict[str, Any], models: list[dict[str, Any]]) -> list[dict[str, str]]:
    """The few figures to look at first."""
    ready = _last(traffic["gauges"]["fairlead_workers_ready"])
    rate = sum(_last(values) or 0.0 for values in traffic["rate"].values())
    p95 = _last(traffic["latency"]["p95"])
    tried = {one["model"]: one["release"]["candidate"] for one in models if (one["release"] or {}).get("candidate")}
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
            "detail": ", ".join(f"{model}@{candidate['version']}" for model, candidate in tried.items()),
            "kind": "busy" if tried else "plain",
        },
    ]


def _last(values: list[float | None]) -> float | None:
    return values[-1] if values else None
