"""The models as the Open Inference Protocol speaks of them, over REST or gRPC."""

from __future__ import annotations

from fairlead.errors import Code, FairleadError
from fairlead.servable.identity import ServableId
from fairlead.servable.manifest import Manifest
from fairlead.serving.status import State, VersionStatus
from fairlead.serving.target import Target
from fairlead.transport.invalid import invalid
from fairlead.transport.ports import Catalogue

__all__ = ["Models"]

_SAID = (Code.INVALID_ARGUMENT, Code.UNAVAILABLE)
"""Of a label that nobody knows and of a default one that nothing has: the errors say which labels there are."""


class Models:
    """What the catalogue knows, with the protocol's words for what it does not."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def describe(self, target: Target) -> Manifest:
        """The manifest of the version that `target` means now.

        Raises:
            FairleadError: UNAVAILABLE when it will or should answer, and cannot yet; NOT_FOUND when nobody knows of it;
                INVALID_ARGUMENT for a label that the model does not have.
        """
        try:
            return self._catalogue.describe(target)
        except FairleadError as error:
            if error.code in _SAID:
                raise
            raise self.missing(target) from error

    def missing(self, target: Target) -> FairleadError:
        """Why `target` cannot answer."""
        return _missing(target, self.statuses(target.model, self._version(target)))

    def available(self, target: Target) -> list[int]:
        """The versions that answer, of those that `target` names."""
        statuses = self._catalogue.statuses(target.model, self._version(target))
        return [status.id.version for status in statuses if status.state is State.AVAILABLE]

    def up(self, target: Target) -> list[ServableId]:
        """The versions that answer, of those that `target` names; of all models when it names none.

        Raises:
            FairleadError: INVALID_ARGUMENT when nothing answers of the model that it names.
        """
        models = [target.model] if target.model else self._catalogue.models()
        statuses = [status for model in models for status in self.statuses(model, self._version(target))]
        ids = [status.id for status in statuses if status.state is State.AVAILABLE]
        if target.model and not ids:
            raise invalid(f"requested model {target.model[:80]!r} is not available")
        return ids

    def _version(self, target: Target) -> int | None:
        """The one that `target` names, by its number or by a label."""
        return target.version if target.label is None else self._catalogue.labels(target.model).get(target.label)

    def statuses(self, model: str, version: int | None = None) -> tuple[VersionStatus, ...]:
        """The versions of `model`; none when it is not known, or was never loaded."""
        try:
            return self._catalogue.statuses(model, version)
        except FairleadError:
            return ()


def _missing(target: Target, statuses: tuple[VersionStatus, ...]) -> FairleadError:
    """Why `target` cannot answer: it will or should, and cannot yet, or nobody knows of it."""
    version = "" if target.version is None else f" version {target.version}"
    if target.label is not None:
        version = f" label {target.label[:80]!r}"
    for status in statuses:
        if status.state is not State.END or status.message:
            reason = status.message or f"version {status.id.version} is {status.state}"
            return FairleadError(
                Code.UNAVAILABLE, f"model {target.model[:80]!r}{version} is not at ready state: {reason}"
            )
    what = f"{target.model[:80]!r}{version} is not found"
    return FairleadError(
        Code.NOT_FOUND, f"Request for unknown model: {what}", hint="POST /v2/repository/index lists the models"
    )
