"""Training runs, and the curves of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.routing import Route

from fairlead.console.axis import floor_below
from fairlead.console.charts import Chart, line_chart
from fairlead.console.pages.choice import model_page
from fairlead.console.pages.page import page
from fairlead.console.ports import Document, ModelsView, TrainingView

__all__ = ["routes"]

_VALIDATION = "val_"


def routes(models: ModelsView, view: TrainingView) -> Sequence[Route]:
    """The routes of the training runs' pages."""
    return (
        *model_page("/training", "training.html", "Training", models=models, ask=lambda _, model: view.runs(model)),
        *page("/training/{run}", "run.html", "Run {name}", lambda request: view.run(request.path_params["run"]), _draw),
    )


def _draw(document: Document) -> Mapping[str, Any]:
    """A picture for each metric; what was measured on the validation rows beside what was on the training rows."""
    curves: Mapping[str, Sequence[tuple[int, float]]] = document["curves"]
    names = dict.fromkeys(name.removeprefix(_VALIDATION) for name in curves)
    return {"charts": {name: _picture(name, curves) for name in names}}


def _picture(name: str, curves: Mapping[str, Sequence[tuple[int, float]]]) -> Chart:
    both = {"training": curves.get(name, ()), "validation": curves.get(f"{_VALIDATION}{name}", ())}
    lines = {part: dict(points) for part, points in both.items() if points}
    steps = sorted({step for line in lines.values() for step in line})
    return line_chart(
        name,
        [float(step) for step in steps],
        {part: [line.get(step) for step in steps] for part, line in lines.items()},
        bottom=floor_below([value for line in lines.values() for value in line.values()]),
        dots=True,
        moments=False,
    )
