"""Another model configuration at run time, as TensorFlow Serving's reload request asks for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Sequence
from pathlib import Path

from fairlead.errors import Code, FairleadError
from fairlead.serving.configured import ConfigInForce
from fairlead.serving.manager import Manager
from fairlead.serving.model_config import ModelConfig, check_configs, check_roots, neighbourhood
from fairlead.serving.status import State, VersionStatus

__all__ = ["ConfigReload"]

_TIMEOUT_S = 300.0
_POLL_S = 0.02


class ConfigReload:
    """Replaces the configuration, in this process at once and in the server's others at their next look.

    Args:
        in_force: the configuration.
        manager: follows it.
        roots: directories that all base paths must be in; none for those that the user's own base paths are in.
    """

    def __init__(self, in_force: ConfigInForce, manager: Manager, roots: Sequence[Path] = ()) -> None:
        self._roots = roots
        self._in_force = in_force
        self._manager = manager

    async def reload(self, configs: Sequence[ModelConfig], *, deadline: float | None = None) -> None:
        """Put `configs` in force, and return once the models that are new by name answer. Those left out are unloaded.

        A label may be given to a version that answers now, or be left on the version that it has.

        Args:
            configs: every model that should be served.
            deadline: second of the monotonic clock after which nobody waits; loading goes on then.

        Raises:
            FairleadError: in TensorFlow Serving's words; INVALID_ARGUMENT and FAILED_PRECONDITION before anything is
                changed, UNKNOWN when a new model cannot be loaded, DEADLINE_EXCEEDED.
        """
        check_configs(configs)
        check_roots(configs, self._roots or neighbourhood(await asyncio.to_thread(self._in_force.given)))
        before = {config.name: config for config in await asyncio.to_thread(self._in_force.read)}
        for config in configs:
            self._check_change(config, before.get(config.name))
        await asyncio.to_thread(self._in_force.replace, tuple(configs))
        self._manager.wake()
        until = min(deadline or float("inf"), time.monotonic() + _TIMEOUT_S)
        await self._wait_for([config.name for config in configs if config.name not in before], until)

    def _check_change(self, config: ModelConfig, before: ModelConfig | None) -> None:
        if before and before.platform != config.platform:
            raise FairleadError(
                Code.FAILED_PRECONDITION,
                f"For model {config.name}: Illegal to change a model's platform from {before.platform} "
                f"to {config.platform}",
            )
        for label, version in config.labels.items():
            is_left = before is not None and before.labels.get(label) == version
            if not is_left and not self._answers(config.name, version):
                raise FairleadError(
                    Code.FAILED_PRECONDITION,
                    f"Request to assign label to version {version} of model {config.name}, "
                    "which is not currently available for inference",
                )

    async def _wait_for(self, models: Collection[str], until: float) -> None:
        waiting = set(models)
        while waiting := {model for model in waiting if not self._is_up(model)}:
            if failed := sorted(model for model in waiting if self._has_failed(model)):
                raise FairleadError(Code.UNKNOWN, self._unavailable(failed))
            if time.monotonic() >= until:
                raise FairleadError(
                    Code.DEADLINE_EXCEEDED, f"{', '.join(sorted(waiting))} did not become available in time"
                )
            await asyncio.sleep(_POLL_S)

    def _answers(self, model: str, version: int) -> bool:
        return any(status.id.version == version and status.state is State.AVAILABLE for status in self._statuses(model))

    def _is_up(self, model: str) -> bool:
        return any(status.state is State.AVAILABLE for status in self._statuses(model))

    def _has_failed(self, model: str) -> bool:
        """Whether nothing is being loaded and something could not be; what was unloaded long ago says nothing."""
        statuses = self._statuses(model)
        return all(status.state is State.END for status in statuses) and any(status.code for status in statuses)

    def _unavailable(self, models: list[str]) -> str:
        reasons = "; ".join(
            f"{status.id}: {status.message}" for model in models for status in self._statuses(model) if status.code
        )
        return f"{len(models)} model(s) did not become available: {{{reasons}}}"

    def _statuses(self, model: str) -> Sequence[VersionStatus]:
        """What its versions are doing; none while it is not known."""
        try:
            return self._manager.statuses(model)
        except FairleadError:
            return ()
