"""The first page: what serves and how it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fairlead.console.charts import Chart, line_chart
from fairlead.console.ports import SystemView
from fairlead.console.rendering import render

__all__ = ["routes"]


def routes(view: SystemView) -> Sequence[Route]:
    """The routes of the first page."""

    def show(request: Request) -> Response:
        document = view.overview()
        return render(
            request, "overview.html", {"title": "Overview", **document, "charts": _charts(document["traffic"])}
        )

    def tell(_request: Request) -> Response:
        return JSONResponse(view.overview())

    return (Route("/", show), Route("/api/overview", tell))


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
