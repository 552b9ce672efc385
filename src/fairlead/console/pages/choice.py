"""Pages that show one model at a time: which one, and the form to choose another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from fairlead.console.pages.page import page
from fairlead.console.ports import Document, ModelsView
from fairlead.errors import Code, FairleadError

__all__ = ["model_page", "number_in"]

_DIGITS = 18


def model_page(
    path: str,
    template: str,
    title: str,
    *,
    models: ModelsView,
    ask: Callable[[Request, str], Document],
    draw: Callable[[Document], Mapping[str, Any]] = lambda _: {},
) -> tuple[Route, Route]:
    """The routes of a page about the model that the query names, else about the first.

    Args:
        path: where it is.
        template: what shows it; without any model it is told that `model` is None, and nothing else.
        title: of the page.
        models: which there are.
        ask: what is shown of a model.
        draw: as in `page`.
    """

    def find(request: Request) -> Document:
        names = [one["model"] for one in models.models()["models"]]
        chosen = request.query_params.get("model") or next(iter(names), None)
        if chosen is None:
            return {"model": None, "models": []}
        if chosen not in names:
            raise FairleadError(
                Code.NOT_FOUND, f"there is no model {chosen[:80]!r}", hint=f"models there: {', '.join(names) or 'none'}"
            )
        return {**ask(request, chosen), "models": names}

    def drawn(document: Document) -> Mapping[str, Any]:
        return {} if document["model"] is None else draw(document)

    return page(path, template, title, find, drawn)


def number_in(request: Request, name: str) -> int | None:
    """The number that the query gives under `name`; None when it gives none.

    Raises:
        FairleadError: INVALID_ARGUMENT for what is no number.
    """
    text = request.query_params.get(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
        raise FairleadError(Code.INVALID_ARGUMENT, f"{name} is {text[:80]!r}, which is no number")
    return int(text)
