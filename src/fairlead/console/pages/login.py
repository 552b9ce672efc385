"""Signing in and out, and the choice of light or dark."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from fairlead.console.guard import COOKIE, fields_of, inside
from fairlead.console.rendering import BASE, THEMES, render
from fairlead.console.session import Sessions, Tries
from fairlead.console.users import FIRST_PASSWORD, Users

__all__ = ["routes"]

_CHECKS_AT_ONCE = 2
_YEAR_S = 365 * 24 * 3600


def routes(users: Users, sessions: Sessions, tries: Tries) -> Sequence[Route]:
    """The routes of signing in and out."""
    turn = asyncio.Semaphore(_CHECKS_AT_ONCE)  # each takes 32 MB while it lasts

    async def show(request: Request) -> Response:
        return _form(request, users, is_expired="expired" in request.query_params)

    async def sign_in(request: Request) -> Response:
        fields = await fields_of(request)
        name, password = fields.get("name", "").strip(), fields.get("password", "")
        wait_s = tries.wait_s(name)
        if wait_s > 0:
            problem = f"Too many wrong passwords: the next try is in {wait_s:.0f} s at the earliest."
            return _form(request, users, problem=problem, name=name, status=429)
        tries.fail(name)  # until it turns out well: tries that come at once count all the same
        async with turn:
            is_right = await run_in_threadpool(users.check, name, password)
        if not is_right:
            return _form(
                request, users, problem="This name and password do not belong together.", name=name, status=401
            )
        tries.succeed(name)
        if request.state.session is not None:
            sessions.end(request.state.session)
        session = sessions.begin(name)
        answer = RedirectResponse(inside(fields.get("next", "")), status_code=303)
        is_secure = request.headers.get("x-forwarded-proto") == "https"
        answer.set_cookie(COOKIE, session.id, path=BASE, httponly=True, samesite="strict", secure=is_secure)
        return answer

    async def sign_out(request: Request) -> Response:
        sessions.end(request.state.session)
        answer = RedirectResponse(f"{BASE}/login", status_code=303)
        answer.delete_cookie(COOKIE, path=BASE, httponly=True, samesite="strict")
        return answer

    return (
        Route("/login", show, methods=["GET"]),
        Route("/login", sign_in, methods=["POST"]),
        Route("/logout", sign_out, methods=["POST"]),
        Route("/theme", _choose_theme, methods=["POST"]),
    )


async def _choose_theme(request: Request) -> Response:
    fields = await fields_of(request)
    theme = fields.get("theme", "")
    answer = RedirectResponse(inside(fields.get("next", "")), status_code=303)
    if theme in THEMES:
        answer.set_cookie("fairlead_theme", theme, max_age=_YEAR_S, path=BASE, samesite="strict", httponly=True)
    return answer


def _form(
    request: Request, users: Users, *, problem: str = "", name: str = "", is_expired: bool = False, status: int = 200
) -> Response:
    first = users.directory / FIRST_PASSWORD
    context: dict[str, Any] = {
        "title": "Sign in",
        "problem": problem,
        "name": name,
        "is_expired": is_expired,
        "next": inside(request.query_params.get("next", "")),
        "first_password": str(first) if first.exists() else "",
    }
    return render(request, "login.html", context, status=status)
