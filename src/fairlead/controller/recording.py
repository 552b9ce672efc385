"""A training run's record in the registry, which a registry that fails does not stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

from fairlead.errors import Code, FairleadError
from fairlead.training.registry import Registry, RegistryRun

__all__ = ["Recording"]


class Recording:
    """Reports one run to the registry for as long as it answers. A `RunSink`.

    The first failure is said once and ends the record: a model that took an hour to train is worth more than its log.

    Args:
        registry: where to; None records nothing.
        warn: told of the failure.
    """

    def __init__(self, registry: Registry | None, warn: Callable[[str], None]) -> None:
        self._registry = registry
        self._warn = warn
        self._run: RegistryRun | None = None

    @property
    def run_id(self) -> str:
        """The registry's name for the run; empty when there is no record."""
        return self._run.run_id if self._run else ""

    def start(self, model: str, name: str, tags: Mapping[str, str]) -> None:
        with self._forgiven():
            self._run = self._registry.start(model, name, tags) if self._registry else None

    def params(self, values: Mapping[str, Any]) -> None:
        with self._forgiven():
            if self._run:
                self._run.params(values)

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        with self._forgiven():
            if self._run:
                self._run.metrics(step, values)

    def picture(self, name: str, png: bytes) -> None:
        with self._forgiven():
            if self._run:
                self._run.picture(name, png)

    def text(self, name: str, text: str) -> None:
        with self._forgiven():
            if self._run:
                self._run.text(name, text)

    def tags(self, values: Mapping[str, str]) -> None:
        with self._forgiven():
            if self._run:
                self._run.tags(values)

    def close(self, status: Literal["FINISHED", "FAILED"]) -> None:
        with self._forgiven():
            if self._run:
                self._run.close(status)

    @contextmanager
    def _forgiven(self) -> Iterator[None]:
        try:
            yield
        except FairleadError as error:
            if error.code is not Code.UNAVAILABLE:
                raise
            self._run = None
            self._warn(f"the run is not recorded any further: {error.message}")
