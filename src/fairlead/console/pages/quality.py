"""Quality over time, with the delay of its labels, and drift by feature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from fairlead.console.axis import floor_below
from fairlead.console.charts import Chart, Values, bar_chart, line_chart, step_chart
from fairlead.console.pages.choice import model_page, number_in
from fairlead.console.ports import Document, DriftView, ModelsView, QualityView

__all__ = ["routes"]

_US = 1e6


def routes(models: ModelsView, quality: QualityView, drift: DriftView) -> Sequence[Route]:
    """The routes of both pages."""

    def ask_quality(request: Request, model: str) -> Document:
        return quality.quality(model, request.query_params.get("span", ""))

    def ask_drift(request: Request, model: str) -> Document:
        return drift.drift(model, number_in(request, "version"))

    return (
        *model_page("/quality", "quality.html", "Quality", models=models, ask=ask_quality, draw=_draw_quality),
        *model_page("/drift", "drift.html", "Drift", models=models, ask=ask_drift, draw=_draw_drift),
    )


def _draw_quality(document: Document) -> Mapping[str, Any]:
    arms: Sequence[Mapping[str, Any]] = document["arms"]
    starts = sorted({window["since_us"] for arm in arms for window in arm["windows"]})
    times = [start / _US for start in starts]
    found = {arm["name"]: {window["since_us"]: window for window in arm["windows"]} for arm in arms}

    def each(part: str, end: str) -> dict[str, Values]:
        return {name: [_in(windows.get(start), part, end) for start in starts] for name, windows in found.items()}

    lows, highs = each("accuracy", "low"), each("accuracy", "high")
    bands = {
        name: [
            None if low is None or high is None else (low, high)
            for low, high in zip(lows[name], highs[name], strict=True)
        ]
        for name in found
    }
    accuracy = line_chart(
        "Accuracy of the labelled rows",
        times,
        each("accuracy", "value"),
        unit="%",
        top=1.0,
        bands=bands,
        bottom=floor_below([1.0, *(low for values in lows.values() for low in values if low is not None)]),
        dots=True,
    )
    delays: dict[str, Values] = {}
    for name, windows in found.items():
        delays[f"{name}: half of the labels within"] = [
            (windows.get(start) or {}).get("delay_median_s") for start in starts
        ]
        delays[f"{name}: 95 of 100 within"] = [(windows.get(start) or {}).get("delay_p95_s") for start in starts]
    return {
        "charts": {
            "Accuracy": accuracy,
            "Labelled": line_chart(
                "Share of the rows that have a label", times, each("coverage", "value"), unit="%", top=1.0, dots=True
            ),
            "Label delay": line_chart("From a prediction to its label", times, delays, unit="s", dots=True),
            "Rows": line_chart(
                "Rows that were answered",
                times,
                {name: [(windows.get(start) or {}).get("rows") for start in starts] for name, windows in found.items()},
                dots=True,
            ),
        }
        if starts
        else {}
    }


def _in(window: Mapping[str, Any] | None, part: str, end: str) -> float | None:
    found = (window or {}).get(part)
    return None if found is None else float(found[end])


def _draw_drift(document: Document) -> Mapping[str, Any]:
    return {"charts": {one["feature"]: _shape(one) for one in document["features"]}}


def _shape(feature: Mapping[str, Any]) -> Chart:
    groups = {"reference": feature["shares"]["reference"], "now": feature["shares"]["current"]}
    if feature["kind"] == "numeric":
        return step_chart(feature["feature"], feature["edges"], groups)
    return bar_chart(feature["feature"], feature["names"], groups)
