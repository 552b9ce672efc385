"""Models: their versions, what serves, two versions beside each other, and the buttons that change what serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from starlette.requests import Request
from starlette.routing import Route

from fairlead.console.pages.page import action, page, reason_in
from fairlead.console.ports import Document, Done, ModelsView, ReleaseActions
from fairlead.errors import Code, FairleadError
from fairlead.servable.identity import parse_version

__all__ = ["routes"]


def routes(view: ModelsView, actions: ReleaseActions) -> Sequence[Route]:
    """The routes of the models' pages."""

    def model(request: Request) -> Document:
        return view.model(request.path_params["model"])

    def version(request: Request) -> Document:
        return view.version(request.path_params["model"], _version(request.path_params["version"]))

    def compare(request: Request) -> Document:
        chosen = request.query_params
        return view.compare(
            request.path_params["model"], _version(chosen.get("left", "")), _version(chosen.get("right", ""))
        )

    def promote(request: Request, fields: Mapping[str, str]) -> Done:
        user, name = request.state.session.user, request.path_params["model"]
        return actions.promote(user, name, _version(fields.get("version", "")), reason_in(fields))

    def rollback(request: Request, fields: Mapping[str, str]) -> Done:
        user, name = request.state.session.user, request.path_params["model"]
        return actions.rollback(user, name, _version(fields.get("version", "")), reason_in(fields))

    return (
        *page("/models", "models.html", "Models", lambda _: view.models()),
        *page("/models/{model}", "model.html", "{model}", model),
        *page("/models/{model}/compare", "compare.html", "{model}: {left} and {right}", compare),
        *page("/models/{model}/{version}", "version.html", "{model} version {version}", version),
        action("/models/{model}/promote", promote),
        action("/models/{model}/rollback", rollback),
    )


def _version(text: str) -> int:
    version = parse_version(text)
    if version is None:
        raise FairleadError(Code.INVALID_ARGUMENT, f"{text[:80]!r} is no version", hint="versions are numbers from 1")
    return version
