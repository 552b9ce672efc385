"""Rollouts: what is tried, on what evidence, and the buttons of the one who decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from starlette.requests import Request
from starlette.routing import Route

from fairlead.console.pages.page import action, page, reason_in
from fairlead.console.ports import Document, Done, RolloutsView

__all__ = ["routes"]

_ENDS = {"promote": "promoted", "abort": "aborted", "rollback": "rolled_back"}


def routes(view: RolloutsView) -> Sequence[Route]:
    """The routes of the rollouts' pages."""

    def rollout(request: Request) -> Document:
        return view.rollout(request.path_params["id"])

    def ending(status: str) -> Callable[[Request, Mapping[str, str]], Done]:
        return lambda request, fields: view.end(
            request.state.session.user, request.path_params["id"], status, reason_in(fields)
        )

    return (
        *page("/rollouts", "rollouts.html", "Rollouts", lambda _: view.rollouts()),
        *page("/rollouts/{id}", "rollout.html", "Rollout of {model} version {candidate}", rollout),
        *(action(f"/rollouts/{{id}}/{name}", ending(status)) for name, status in _ENDS.items()),
    )
