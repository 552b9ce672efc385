"""The journal: who did what, when and why."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from fairlead.console.pages.choice import number_in
from fairlead.console.pages.page import page
from fairlead.console.ports import Document, JournalView

__all__ = ["routes"]


def routes(view: JournalView) -> Sequence[Route]:
    """The routes of the journal."""

    def ask(request: Request) -> Document:
        return view.journal(request.query_params.get("model") or None, number_in(request, "after"))

    return page("/journal", "journal.html", "Journal", ask, _draw)


def _draw(document: Document) -> Mapping[str, Any]:
    """The evidence as it is read: indented."""
    told = {
        one["seq"]: json.dumps(one["evidence"], indent=2, ensure_ascii=False)
        for one in document["entries"]
        if one["evidence"]
    }
    return {"evidence": told}
