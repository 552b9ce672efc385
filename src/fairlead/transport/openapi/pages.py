"""`/openapi.json` for programs and `/docs` for people."""

from __future__ import annotations

import base64
import functools
import hashlib
from typing import ClassVar

from fairlead.errors import FairleadError
from fairlead.transport.message import Call, Request, Response
from fairlead.transport.openapi.document import STYLE, document, page
from fairlead.transport.refusal import refusal

__all__ = ["OpenApiPages"]


class OpenApiPages:
    """The two pages; they are made when they are asked for first."""

    PATHS: ClassVar = frozenset({"/openapi.json", "/docs"})

    async def answer(self, request: Request, _call: Call) -> Response:
        return _document() if request.path == "/openapi.json" else _page()

    def refuse(self, error: FairleadError) -> Response:
        return refusal(error)


@functools.cache
def _document() -> Response:
    return Response.of(document())


@functools.cache
def _page() -> Response:
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; frame-ancestors 'none'; base-uri 'none'"
    return Response(
        body=page().encode(),
        content_type=b"text/html; charset=utf-8",
        headers=((b"content-security-policy", policy.encode()),),
    )
