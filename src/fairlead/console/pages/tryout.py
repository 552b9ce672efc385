"""Trying a model: the page that the REST port shows too, whose questions are handed on to that port."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fairlead.console.ports import DataPlane, PredictionsView
from fairlead.console.rendering import render
from fairlead.errors import Code, FairleadError
from fairlead.trypage.asset import pane

__all__ = ["routes"]

_NAME = r"[\w.-]+"
_ASKED = re.compile(
    rf"/(models|predict|v1/models/{_NAME}(/(versions|labels)/{_NAME})?:predict|v2/models/{_NAME}(/versions/\d+)?/infer)",
    re.ASCII,
)
"""What the page asks: nothing else of the REST port is reached from here."""


def routes(plane: DataPlane, predictions: PredictionsView) -> Sequence[Route]:
    """The routes of the page.

    Args:
        plane: answers its questions.
        predictions: takes what people say of the answers, in their name.
    """

    def show(request: Request) -> Response:
        context = {"title": "Try a model", "origin": plane.origin, "pane": Markup(pane())}  # noqa: S704 - our own file
        return render(request, "tryout.html", context)

    async def ask(request: Request) -> Response:
        path = f"/{request.path_params['path']}"
        if not _ASKED.fullmatch(path):
            raise FairleadError(Code.NOT_FOUND, f"the page to try models on does not ask for {path[:200]}")
        target = f"{path}?{request.url.query}" if request.url.query else path
        content_type = request.headers.get("content-type", "")
        answer = await run_in_threadpool(plane.ask, request.method, target, content_type, await request.body())
        return Response(answer.body, answer.status, media_type=answer.content_type)

    async def judge(request: Request) -> Response:
        prediction, label = _label(await request.body())
        done = await run_in_threadpool(predictions.label, request.state.session.user, prediction, label)
        return JSONResponse({"prediction_id": prediction, "text": done.text})

    return (
        Route("/try", show, methods=["GET"]),
        Route("/api/try/feedback", judge, methods=["POST"]),
        Route("/api/try/{path:path}", ask, methods=["GET", "POST"]),
    )


def _label(body: bytes) -> tuple[str, str]:
    """The prediction and what it should have been, as the page sends them."""
    try:
        match json.loads(body):
            case {"prediction_id": str(prediction), "label": str(label)}:
                return prediction, label
    except ValueError:
        pass
    raise FairleadError(Code.INVALID_ARGUMENT, "the body has no texts prediction_id and label in JSON")
