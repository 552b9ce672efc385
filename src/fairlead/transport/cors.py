"""Lets pages of listed origins ask the REST port from a browser."""

from __future__ import annotations

from collections.abc import Collection

from fairlead.errors import FairleadError
from fairlead.transport.connection import App
from fairlead.transport.message import Request, Response
from fairlead.transport.outer_app import OuterApp

__all__ = ["Cors"]

_METHODS = b"GET, HEAD, POST"
_HEADERS = (
    b"authorization, content-encoding, content-type, inference-header-content-length, traceparent, tracestate, "
    b"x-api-key, x-model-label, x-model-version, x-request-id, x-request-timeout-ms"
)
_SHOWN = b"inference-header-content-length, retry-after, traceresponse, x-model-version, x-prediction-id, x-request-id"
_LIVES_S = b"600"


class Cors(OuterApp):
    """An application whose answers browsers show to pages of `origins`.

    A browser's question whether it may ask (a preflight) is answered here, without a credential: it can show none. What
    is then asked shows one as ever, in a header; cookies are never let in.

    Args:
        app: answers everything else.
        origins: as browsers send them, `https://shop.example`.
    """

    def __init__(self, app: App, origins: Collection[str]) -> None:
        super().__init__(app)
        self._origins = frozenset(origin.encode() for origin in origins)

    async def answer(self, request: Request) -> Response:
        origin = request.header(b"origin")
        is_listed = origin in self._origins
        if request.method == "OPTIONS" and origin and request.header(b"access-control-request-method"):
            response = Response(content_type=b"text/plain")
            if is_listed:
                response.headers = (
                    (b"access-control-allow-methods", _METHODS),
                    (b"access-control-allow-headers", _HEADERS),
                    (b"access-control-max-age", _LIVES_S),
                )
        else:
            response = await self._app.answer(request)
        return _shown(response, origin if is_listed else b"")

    def refuse(self, request: Request, error: FairleadError) -> Response:
        origin = request.header(b"origin")
        return _shown(self._app.refuse(request, error), origin if origin in self._origins else b"")


def _shown(response: Response, origin: bytes) -> Response:
    """The answer, which pages of that origin may read; empty for none. Caches keep one for each."""
    own = ((b"access-control-allow-origin", origin), (b"access-control-expose-headers", _SHOWN)) if origin else ()
    response.headers = (*response.headers, (b"vary", b"origin"), *own)
    return response
