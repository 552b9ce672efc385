"""The model repository extension: what models there are, and loading and unloading them by request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlead.errors import Code, FairleadError
from fairlead.serving.status import State, VersionStatus
from fairlead.transport.codes import HttpError
from fairlead.transport.invalid import invalid
from fairlead.transport.json_document import echo, parse_json
from fairlead.transport.ports import Catalogue, ModelControl
from fairlead.transport.v2.models import Models

__all__ = ["Repository", "no_named_repository", "read_request"]

_NOT_ALLOWED = 503
_STATES = {
    State.AVAILABLE: "READY",
    State.LOADING: "LOADING",
    State.UNLOADING: "UNLOADING",
    State.START: "UNAVAILABLE",
    State.END: "UNAVAILABLE",
}
_REASONS = {State.START: "not loaded yet", State.END: "unloaded"}


class Repository:
    """The models of the server, whichever protocol asks.

    Args:
        catalogue: knows them.
        control: loads and unloads; None where releases alone decide.
    """

    def __init__(self, catalogue: Catalogue, control: ModelControl | None) -> None:
        self._catalogue = catalogue
        self._models = Models(catalogue)
        self._control = control

    @property
    def is_controlled(self) -> bool:
        """Whether models are loaded and unloaded by request."""
        return self._control is not None

    def index(self, *, only_ready: bool) -> list[dict[str, str]]:
        """An entry for each version of each model, and one with the name alone for a model that was never loaded."""
        entries: list[dict[str, str]] = []
        for model in self._catalogue.models():
            statuses = self._models.statuses(model)
            entries += [_entry(one) for one in statuses if one.state is State.AVAILABLE or not only_ready]
            if not statuses and not only_ready:
                entries.append({"name": model})
        return entries

    async def load(self, model: str, parameters: Mapping[str, Any]) -> None:
        """Load `model` and return once it answers.

        Raises:
            FairleadError: NOT_FOUND for an unknown model; INVALID_ARGUMENT when the request brings files or a
                configuration of its own; see `ModelControl.load`.
            HttpError: 503 where models are not loaded by request.
        """
        control = self._allowed(model)
        if brought := [name for name in parameters if name == "config" or name.startswith("file:")]:
            raise invalid(
                f"parameter {brought[0][:80]!r} is not offered: a model is loaded from the store, as it was published"
            )
        await control.load(model)

    async def unload(self, model: str) -> None:
        """Begin to unload `model`; nothing happens when it is not loaded.

        Raises:
            HttpError: 503 where models are not unloaded by request.
        """
        await self._allowed(model).unload(model)

    def _allowed(self, model: str) -> ModelControl:
        if self._control is not None:
            return self._control
        if model not in self._catalogue.models():
            raise FairleadError(
                Code.NOT_FOUND,
                f"Request for unknown model: {model[:80]!r} is not found",
                hint="POST /v2/repository/index lists the models",
            )
        raise HttpError(
            _NOT_ALLOWED,
            Code.FAILED_PRECONDITION,
            "explicit model load / unload is not allowed: a model's release decides what is loaded",
            hint=f"fairlead promote {model} VERSION, or serve with FAIRLEAD_MODEL_CONTROL=explicit",
        )


def read_request(body: bytes) -> dict[str, Any]:
    """What the body of a request to the repository says; it may be empty.

    Raises:
        FairleadError: INVALID_ARGUMENT when it is no object, or its parameters are none.
    """
    document = parse_json(body) if body else {}
    if not isinstance(document, dict) or not isinstance(document.get("parameters", {}), dict):
        raise invalid(f"the request must be a JSON object, and its parameters another, not {echo(document)}")
    return document


def no_named_repository() -> FairleadError:
    """Why a repository that is named is refused."""
    return FairleadError(Code.UNIMPLEMENTED, "repositories have no names here", hint="there is one: leave it out")


def _entry(status: VersionStatus) -> dict[str, str]:
    """A reason is there when the state needs one."""
    entry = {"name": status.id.model, "version": str(status.id.version), "state": _STATES[status.state]}
    reason = status.message or _REASONS.get(status.state, "")
    return entry | ({"reason": reason} if reason else {})
