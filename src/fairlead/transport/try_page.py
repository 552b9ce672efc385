"""The page on which people try the models, for browsers that ask at the root."""

from __future__ import annotations

from typing import ClassVar

from fairlead.errors import Code, FairleadError
from fairlead.transport.codes import HttpError
from fairlead.transport.message import Call, Dialect, Request, Response
from fairlead.transport.refusal import refusal
from fairlead.trypage.asset import POLICY, Asset, assets, page

__all__ = ["TryPage"]

_FOLDER = "/try/"
_NOT_MODIFIED = 304


class TryPage:
    """Answers `/` and the page's files. Whoever does not ask for HTML at `/` hears what `alive` says there."""

    PATHS: ClassVar = frozenset({"/", *(f"{_FOLDER}{name}" for name in assets())})

    def __init__(self, alive: Dialect) -> None:
        self._alive = alive

    async def answer(self, request: Request, call: Call) -> Response:
        is_reading = request.method in ("GET", "HEAD")
        if request.path == "/":
            is_html = is_reading and b"text/html" in request.header(b"accept").lower()
            response = _file(page(), request) if is_html else await self._alive.answer(request, call)
            response.headers = (*response.headers, (b"vary", b"accept"))
            return response
        if not is_reading:
            raise HttpError(
                405,
                Code.INVALID_ARGUMENT,
                f"{request.path} does not answer {request.method[:20]}",
                hint=f"GET {request.path}",
                headers=((b"allow", b"GET, HEAD"),),
            )
        return _file(assets()[request.path.removeprefix(_FOLDER)], request)

    def refuse(self, error: FairleadError) -> Response:
        return refusal(error)


def _file(asset: Asset, request: Request) -> Response:
    """The file, or that the browser has it already; it asks each time, so that it never mixes two versions."""
    is_known = asset.etag.encode() in request.header(b"if-none-match")
    return Response(
        status=_NOT_MODIFIED if is_known else 200,
        body=asset.body,
        content_type=asset.content_type.encode(),
        headers=(
            (b"etag", asset.etag.encode()),
            (b"cache-control", b"no-cache"),
            (b"content-security-policy", POLICY.encode()),
            (b"referrer-policy", b"no-referrer"),
        ),
    )
