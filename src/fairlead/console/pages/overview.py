"""The first page: what serves and how it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.routing import Route

from fairlead.console.charts import Chart, line_chart
from fairlead.console.pages.page import page
from fairlead.console.ports import Document, OverviewView

__all__ = ["routes"]


def routes(view: OverviewView) -> Sequence[Route]:
    """The routes of the first page."""
    return page("/", "overview.html", "Overview", lambda _: view.overview(), _drawn)


def _drawn(document: Document) -> Mapping[str, Any]:
    return {"charts": _charts(document["traffic"])}


def _charts(traffic: Mapping[str, Any]) -> dict[str, Chart]:
    times, gauges = traffic["times"], traffic["gauges"]
    saturation = gauges["fairlead_saturation"]
    shares = {"requests held": saturation} if any(value is not None for value in saturation) else {}
    return {
        "Requests a second": line_chart("Requests a second", times, traffic["rate"]),
        "Latency": line_chart("Latency of all versions", times, traffic["latency"], unit="s"),
        "Failed": line_chart("Share of requests that failed", times, traffic["errors"], unit="%"),
        "Busy": line_chart("Seconds a second that models run", times, {**traffic["busy"], **shares}),
    }
