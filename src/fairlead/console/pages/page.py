"""A page as people see it and as a program reads it, and what a form on a page does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from fairlead.console.guard import fields_of, inside
from fairlead.console.ports import Document, Done
from fairlead.console.rendering import render
from fairlead.console.session import Notice
from fairlead.errors import Code, FairleadError

__all__ = ["action", "page", "reason_in"]

_MOST_REASON = 1000


def page(
    path: str,
    template: str,
    title: str,
    ask: Callable[[Request], Document],
    draw: Callable[[Document], Mapping[str, Any]] = lambda _: {},
) -> tuple[Route, Route]:
    """The routes of a page, and of the same figures as JSON under `/api`.

    Args:
        path: where it is.
        template: what shows it.
        title: with the document's fields in braces.
        ask: what is shown.
        draw: what the template needs besides, such as charts.
    """

    def show(request: Request) -> Response:
        document = ask(request)
        return render(request, template, {"title": title.format_map(document), **document, **draw(document)})

    def tell(request: Request) -> Response:
        return JSONResponse(ask(request))

    return Route(path, show, methods=["GET"]), Route(f"/api{path}", tell, methods=["GET"])


def action(path: str, do: Callable[[Request, Mapping[str, str]], Done]) -> Route:
    """The route of a form: what became of it is told on the page that it leads back to.

    Args:
        path: where the form goes.
        do: what it does, with the request and the form's fields, in a thread.
    """

    async def answer(request: Request) -> Response:
        fields = await fields_of(request)
        background = None
        try:
            done = await run_in_threadpool(do, request, fields)
        except FairleadError as error:
            notice = Notice(text=error.message, is_good=False, hint=error.hint or "")
        else:
            notice = Notice(text=done.text)
            background = BackgroundTask(done.after) if done.after is not None else None
        request.state.session.notices.append(notice)
        return RedirectResponse(inside(fields.get("next", "")), status_code=303, background=background)

    return Route(path, answer, methods=["POST"])


def reason_in(fields: Mapping[str, str]) -> str:
    """Why somebody does it, in one line.

    Raises:
        FairleadError: INVALID_ARGUMENT when nothing is said, or too much.
    """
    why = " ".join(fields.get("why", "").split())
    if not 0 < len(why) <= _MOST_REASON:
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            "a reason is missing, and nothing was changed" if not why else f"the reason has {len(why):,} characters",
            hint=f"say why in 1 to {_MOST_REASON:,} characters",
        )
    return why
