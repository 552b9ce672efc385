"""Which versions should be up, as the store says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from fairlead.errors import FairleadError
from fairlead.serving.version_policy import LATEST, VersionPolicy
from fairlead.store.plain import QuietVersions
from fairlead.store.release import Candidate, earlier_stables
from fairlead.store.store import Store

__all__ = ["Aspired", "Source", "StoreSource", "aspire_plain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Aspired:
    """What should be up of one model; of a model that was taken out of service, nothing.

    Attributes:
        stable: the version that answers when a caller names none; None for a plain model, where the highest that is up
            does.
        labels: names a caller may use, "stable" left out.
        candidate: what is tried beside the stable version.
        earlier: where a rollback would go, the nearest first: one of them stands in where the stable version cannot be
            loaded and none was up before.
        revision: of the release behind it; 0 when there is none.
        plain: the versions of a plain model that should be up, and where they are.
    """

    stable: int | None = None
    labels: Mapping[str, int] = field(default_factory=dict)
    candidate: Candidate | None = None
    earlier: tuple[int, ...] = ()
    revision: int = 0
    plain: Mapping[int, Path] = field(default_factory=dict)

    @property
    def defaults(self) -> frozenset[int]:
        """The versions that should answer callers who name none."""
        return frozenset(self.plain) if self.stable is None else frozenset({self.stable})

    @property
    def versions(self) -> frozenset[int]:
        """All that should be up. The labels of a plain model ask for no version: the policy does."""
        if self.stable is None:
            return self.defaults
        candidates = {self.candidate.version} if self.candidate else set()
        return self.defaults.union(self.labels.values(), candidates)


class Source(Protocol):
    """Says what should be up."""

    def read(self) -> tuple[dict[str, Aspired], dict[str, str]]:
        """What is aspired, by model, and for each model that something is wrong with, what.

        A model that is in the second alone is left as it is; one that is in neither, too.
        """


class StoreSource:
    """Reads the aspired state of every required model: its release, else its newest version, else its plain versions.

    Args:
        store: the model store.
        models: the models required; none named means every model in the store.
        policy: which versions of a plain model should be up.
        quiet_period_s: see `QuietVersions`.
    """

    def __init__(
        self,
        store: Store,
        models: Sequence[str] = (),
        *,
        policy: VersionPolicy = LATEST,
        quiet_period_s: float = 2.0,
    ) -> None:
        self._store = store
        self._models = tuple(models)
        self._policy = policy
        self._quiet = QuietVersions(quiet_period_s)
        self._known: set[str] = set()
        self._held: set[str] = set()
        self._earlier: dict[str, tuple[int, tuple[int, ...]]] = {}

    def read(self) -> tuple[dict[str, Aspired], dict[str, str]]:
        aspired: dict[str, Aspired] = {}
        problems: dict[str, str] = {}
        names = set(self._models or self._store.models())
        self._known |= names
        for model in sorted(self._known):
            try:
                aspired[model] = self._read_model(model)
            except (FairleadError, OSError) as error:
                problems[model] = str(error)
            else:
                self._note(model, aspired[model])
                if model in names and not aspired[model].versions:
                    problems[model] = "the store has no version of it yet"
        return aspired, problems

    def _note(self, model: str, aspired: Aspired) -> None:
        """Remember what is up, which stays so while the store cannot be read."""
        if aspired.versions:
            self._held.add(model)
        else:
            self._held.discard(model)

    def _read_model(self, model: str) -> Aspired:
        release = self._store.release(model)
        if release:
            return Aspired(
                stable=release.stable,
                labels=release.labels,
                candidate=release.candidate,
                earlier=self._read_earlier(model, release.revision),
                revision=release.revision,
            )
        versions = self._store.versions(model)
        if versions:
            return Aspired(stable=versions[-1])
        base = self._store.base(model)
        if model not in self._held and not base.exists():  # there is nothing to hold on to
            return Aspired()
        return aspire_plain(base, self._policy, self._quiet)

    def _read_earlier(self, model: str, revision: int) -> tuple[int, ...]:
        """Where a rollback would go. Read once for each release: histories grow long."""
        if self._earlier.get(model, (0, ()))[0] != revision:
            try:
                earlier = earlier_stables(self._store.history(model))
            except (FairleadError, OSError):  # the release is good, and is all that is needed as long as it loads
                earlier = ()
            self._earlier[model] = revision, earlier
        return self._earlier[model][1]


def aspire_plain(
    base: Path, policy: VersionPolicy, quiet: QuietVersions, labels: Mapping[str, int] | None = None
) -> Aspired:
    """What should be up of the plain model under `base`: those of its whole versions that the policy chooses.

    Raises:
        OSError: when `base` cannot be read.
    """
    versions = quiet.read(base)
    return Aspired(plain={number: versions[number] for number in policy.choose(versions)}, labels=labels or {})
