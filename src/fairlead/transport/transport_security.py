"""Tells browsers to come by TLS alone."""

from __future__ import annotations

from fairlead.errors import FairleadError
from fairlead.transport.codes import Headers
from fairlead.transport.connection import App
from fairlead.transport.message import Request, Response
from fairlead.transport.outer_app import OuterApp

__all__ = ["TransportSecurity"]


class TransportSecurity(OuterApp):
    """An application whose every answer says `Strict-Transport-Security`.

    Args:
        app: answers.
        max_age_s: for how long browsers come by nothing but TLS, to any port of this host.
    """

    def __init__(self, app: App, max_age_s: int) -> None:
        super().__init__(app)
        self._header: Headers = ((b"strict-transport-security", b"max-age=%d" % max_age_s),)

    async def answer(self, request: Request) -> Response:
        return self._told(await self._app.answer(request))

    def refuse(self, request: Request, error: FairleadError) -> Response:
        return self._told(self._app.refuse(request, error))

    def _told(self, response: Response) -> Response:
        response.headers = (*response.headers, *self._header)
        return response
