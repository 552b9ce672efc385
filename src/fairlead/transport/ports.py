"""What a transport asks of the rest of the process."""

from __future__ import annotations

from collections.abc import Collection, Coroutine, Mapping, Sequence
from typing import Any, Protocol

from fairlead.servable.manifest import Manifest
from fairlead.serving.model_config import ModelConfig
from fairlead.serving.predictor import Decode, Prediction
from fairlead.serving.status import Readiness, VersionStatus
from fairlead.serving.target import Target
from fairlead.telemetry.tracing import Trace

__all__ = ["Catalogue", "ConfigControl", "FeedbackTaker", "ModelControl", "Predicting"]


class Predicting(Protocol):
    """Answers a request; `serving.predictor.Predictor` is the one."""

    async def predict(
        self,
        target: Target,
        decode: Decode,
        *,
        outputs: Collection[str] | None = None,
        deadline: float | None = None,
        size: int = 0,
        key: str = "",
        tenant: str | None = None,
        trace: Trace | None = None,
    ) -> Prediction:
        """See `Predictor.predict`."""


class Catalogue(Protocol):
    """Which models and versions there are. No method waits for anything."""

    def describe(self, target: Target) -> Manifest:
        """The manifest of the version that `target` means now.

        Raises:
            FairleadError: NOT_FOUND, or INVALID_ARGUMENT for an unknown label.
        """

    def statuses(self, model: str, version: int | None) -> tuple[VersionStatus, ...]:
        """One version, or all of a model's, newest first.

        Raises:
            FairleadError: NOT_FOUND when there is none.
        """

    def knows(self, model: str, version: int | None) -> bool:
        """Whether there is such a model, and such a version of it, loaded or not."""

    def models(self) -> Collection[str]:
        """The names of all models, loaded or not."""

    def labels(self, model: str) -> Mapping[str, int]:
        """The versions that names stand for now, of a model that may be unknown."""

    def readiness(self) -> Readiness:
        """Whether this process may take traffic."""

    def default_model(self) -> str:
        """The model that is meant when a caller names none.

        Raises:
            FairleadError: when there is no such model.
        """


class ConfigControl(Protocol):
    """Replaces the configuration of plain models; `serving.reload.ConfigReload` is the one."""

    async def reload(self, configs: Sequence[ModelConfig], *, deadline: float | None = None) -> None:
        """See `ConfigReload.reload`."""


class FeedbackTaker(Protocol):
    """Takes labels in; `app.recorder_line.RecorderClient` is the one."""

    def give(
        self, labels: Sequence[tuple[Any, Any]], *, source: str, model: str | None
    ) -> Coroutine[Any, Any, list[dict[str, str]]]:
        """Keep the labels, all of them or none; they are committed when this returns.

        Args:
            labels: predictions' ids and what was true of them, as the client wrote both.
            source: who says so.
            model: the only one whose predictions are meant; None for any.

        Returns:
            For each its `prediction_id` and its `outcome`.

        Raises:
            FairleadError: INVALID_ARGUMENT for a label that cannot be, UNAVAILABLE while nothing can be taken in.
        """


class ModelControl(Protocol):
    """Loads and unloads models by request; `serving.explicit.ExplicitControl` is the one."""

    async def load(self, model: str) -> None:
        """See `ExplicitControl.load`."""

    async def unload(self, model: str) -> None:
        """See `ExplicitControl.unload`."""
