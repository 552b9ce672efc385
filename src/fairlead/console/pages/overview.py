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
    times, held = traffic["times"], traffic["gauges"]["fairlead_saturation"]
    return {
        "Requests a second": line_chart("Requests a second", times, traffic["rate"]),
        "Failed": line_chart("Share of requests that failed", times, traffic["errors"], unit="%"),
        "Latency": line_chart("Latency of all versions", times, traffic["latency"], unit="s"),
        "p95 by version": line_chart("Latency of 95 of 100 requests", times, traffic["slow"], unit="s"),
        "Busy": line_chart("Share of a second that each version runs", times, traffic["busy"], unit="%"),
        "Saturation": line_chart(
            "Share of what a worker may hold that the fullest one holds", times, {"requests held": held}, unit="%"
        ),
    }
