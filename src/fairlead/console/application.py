"""The console as one application: its routes, and what happens when a page cannot be made."""

from __future__ import annotations

import logging
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from fairlead.console.guard import Guard
from fairlead.console.pages import journal, login, models, overview, predictions, quality, rollouts, training, tryout
from fairlead.console.ports import Views
from fairlead.console.rendering import BASE, render
from fairlead.console.session import Sessions, Tries
from fairlead.console.users import Users
from fairlead.errors import Code, FairleadError

__all__ = ["create_application"]

_STATUS = {
    Code.NOT_FOUND: 404,
    Code.INVALID_ARGUMENT: 400,
    Code.FAILED_PRECONDITION: 400,
    Code.ALREADY_EXISTS: 409,
    Code.ABORTED: 409,
    Code.UNAVAILABLE: 503,
}
_log = logging.getLogger(__name__)


def create_application(views: Views, users: Users, sessions: Sessions) -> ASGIApp:
    """The console.

    Args:
        views: what can be seen and done.
        users: who may sign in.
        sessions: who has.
    """
    routes: list[BaseRoute] = [
        *login.routes(users, sessions, Tries()),
        *overview.routes(views.overview),
        *models.routes(views.models, views.releases),
        *rollouts.routes(views.rollouts),
        *quality.routes(views.models, views.quality, views.drift),
        *predictions.routes(views.models, views.predictions),
        *training.routes(views.models, views.training),
        *journal.routes(views.journal),
        *tryout.routes(views.plane, views.predictions),
    ]
    files = StaticFiles(directory=Path(__file__).parent / "static", packages=[("fairlead.trypage", "static")])
    static = Mount("/static", files, name="static")
    return Starlette(
        routes=[Mount(BASE, routes=[static, *routes])],
        middleware=[Middleware(Guard, sessions=sessions)],
        exception_handlers={FairleadError: _refused, 404: _nowhere, Exception: _broken},
    )


async def _refused(request: Request, error: Exception) -> Response:
    """What happened and what to try next, on a page or as JSON."""
    told = error if isinstance(error, FairleadError) else FairleadError(Code.INTERNAL, "Internal error")
    status = _STATUS.get(told.code, 500)
    if request.url.path.startswith(f"{BASE}/api/"):
        return JSONResponse(
            {"error": {"code": told.code.value, "message": told.message, "hint": told.hint}}, status_code=status
        )
    return render(request, "error.html", {"title": "That did not work", "error": told}, status=status)


async def _nowhere(request: Request, _error: Exception) -> Response:
    error = FairleadError(Code.NOT_FOUND, f"there is no page at {request.url.path[:200]}")
    return await _refused(request, error)


async def _broken(request: Request, error: Exception) -> Response:
    _log.error("%s %s broke", request.method, request.url.path[:200], exc_info=error)
    return await _refused(request, FairleadError(Code.INTERNAL, "Internal error", hint="the server's log says more"))
