"""What every request passes: who is signed in, whether a form is ours, and the headers that keep a page to itself."""

from __future__ import annotations

from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fairlead.console.rendering import BASE, render
from fairlead.console.session import Sessions
from fairlead.errors import Code, FairleadError

__all__ = ["COOKIE", "LIVE_HEADER", "TOKEN_HEADER", "Guard", "fields_of", "inside"]

COOKIE = "fairlead_session"
TOKEN_FIELD, TOKEN_HEADER = "csrf", "x-csrf-token"
LIVE_HEADER = "x-fairlead-live"
_STATIC = f"{BASE}/static/"
_OPEN = (f"{BASE}/login", _STATIC)
_SAFE = ("GET", "HEAD")
_MOST_FIELDS = 200
_HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Guard:
    """Lets requests through to `app`, with `request.state.session` set, or answers them itself.

    What changes something is let through only when the browser says that it comes from a page of this origin, and
    brings the session's token, in the form or in the header `x-csrf-token`.

    Args:
        app: answers what is let through.
        sessions: who is signed in.
    """

    def __init__(self, app: ASGIApp, sessions: Sessions) -> None:
        self._app = app
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        is_live = LIVE_HEADER in request.headers
        session = self._sessions.find(request.cookies.get(COOKIE, ""), is_activity=not is_live)
        request.state.session, request.state.is_live = session, is_live

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers["cache-control"] = "no-cache" if request.url.path.startswith(_STATIC) else "no-store"
            await send(message)

        refusal = await self._refusal(request)
        if refusal is not None:
            await refusal(scope, receive, send_guarded)
            return
        await self._app(scope, _again(await request.body(), receive), send_guarded)

    async def _refusal(self, request: Request) -> Response | None:
        """The answer to what is not let through."""
        is_open = request.url.path.startswith(_OPEN)
        if request.method not in _SAFE and not _is_from_here(request):
            return _forged(request, "it comes from another site")
        if is_open:
            return None
        session = request.state.session
        if session is None:
            return await _signed_out(request)
        if request.method not in _SAFE:
            token = request.headers.get(TOKEN_HEADER) or (await fields_of(request)).get(TOKEN_FIELD, "")
            if not session.admits(token):
                return _forged(request, "it does not bring the token of this session")
        return None


async def fields_of(request: Request) -> dict[str, str]:
    """The fields of a form as a browser sends it; the first of each name. Anything else has none."""
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return {}
    try:
        found = parse_qs((await request.body()).decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        return {}
    return {name: values[0] for name, values in found.items()}


def inside(path: str) -> str:
    """The path, if it is one of the console's; else its first page."""
    is_ours = path.startswith(f"{BASE}/") and not path.startswith(f"{BASE}/login") and "\\" not in path
    return path if is_ours and path.isprintable() else f"{BASE}/"


def _is_from_here(request: Request) -> bool:
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host", "")


async def _signed_out(request: Request) -> Response:
    """The way to the login, and from there back to the page that was asked for, or that the form stood on."""
    if request.state.is_live or request.url.path.startswith(f"{BASE}/api/"):
        told = {"code": "UNAUTHENTICATED", "message": "nobody is signed in", "hint": f"sign in at {BASE}/login"}
        return JSONResponse({"error": told}, status_code=401)
    is_form = request.method not in _SAFE
    query = f"?{request.url.query}" if request.url.query else ""
    back = (await fields_of(request)).get("next", "") if is_form else request.url.path + query
    is_expired = is_form or bool(request.cookies.get(COOKIE))
    where = {"next": back, **({"expired": "1"} if is_expired else {})}
    return RedirectResponse(f"{BASE}/login?{urlencode(where)}", status_code=303)


def _forged(request: Request, why: str) -> Response:
    error = FairleadError(
        Code.FAILED_PRECONDITION,
        f"This request was refused: {why}. Nothing was changed.",
        hint="reload the page that it should come from, and try again",
    )
    return render(request, "error.html", {"title": "That was refused", "error": error}, status=403)


def _again(body: bytes, receive: Receive) -> Receive:
    """The request's body for whoever reads it next, and after it what still comes."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return messages.pop() if messages else await receive()

    return receive_again
