"""Which versions should be up, as the store says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fairlead.errors import FairleadError
from fairlead.store.store import Store

__all__ = ["Aspired", "StoreSource"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Aspired:
    """What should be up of one model.

    Attributes:
        stable: the version that answers when a caller names none.
        labels: names a caller may use, "stable" left out.
        revision: of the release behind it; 0 when there is none and the newest version serves.
    """

    stable: int
    labels: Mapping[str, int] = field(default_factory=dict)
    revision: int = 0

    @property
    def versions(self) -> frozenset[int]:
        return frozenset({self.stable, *self.labels.values()})


class StoreSource:
    """Reads the aspired state of every required model.

    Args:
        store: the model store.
        models: the models required; none named means every model in the store.
    """

    def __init__(self, store: Store, models: Sequence[str] = ()) -> None:
        self._store = store
        self._models = tuple(models)

    def read(self) -> tuple[dict[str, Aspired], dict[str, str]]:
        """What is aspired, by model, and for each model that cannot be read why not."""
        aspired: dict[str, Aspired] = {}
        problems: dict[str, str] = {}
        for model in self._models or self._store.models():
            try:
                aspired[model] = self._read_model(model)
            except (FairleadError, OSError, LookupError) as error:
                problems[model] = str(error)
        return aspired, problems

    def _read_model(self, model: str) -> Aspired:
        release = self._store.release(model)
        if release:
            return Aspired(stable=release.stable, labels=release.labels, revision=release.revision)
        versions = self._store.versions(model)
        if not versions:
            raise LookupError("the store has no version of it yet")
        return Aspired(stable=versions[-1])
