"""Recent predictions, and the form that says what the truth was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from starlette.requests import Request
from starlette.routing import Route

from fairlead.console.pages.choice import model_page, number_in
from fairlead.console.pages.page import action
from fairlead.console.ports import Chosen, Document, Done, ModelsView, PredictionsView

__all__ = ["routes"]

_ARMS = {"stable": "stable", "candidate": "candidate", "shadow": "shadow", "number": ""}


def routes(models: ModelsView, view: PredictionsView) -> Sequence[Route]:
    """The routes of the predictions' page."""

    def ask(request: Request, model: str) -> Document:
        chosen = Chosen(
            version=number_in(request, "version"),
            arm=_ARMS.get(request.query_params.get("arm", "")),
            before=number_in(request, "before"),
        )
        return {**view.predictions(model, chosen), "arms": list(_ARMS)}

    def label(request: Request, fields: Mapping[str, str]) -> Done:
        return view.label(request.state.session.user, fields.get("prediction", ""), fields.get("label", "").strip())

    return (
        *model_page("/predictions", "predictions.html", "Predictions", models=models, ask=ask),
        action("/predictions/label", label),
    )
