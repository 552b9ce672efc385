"""One model as the manager holds it: its versions' lives, and what should be up of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from fairlead.errors import FairleadError
from fairlead.servable.identity import ServableId
from fairlead.servable.manifest import Manifest
from fairlead.servable.servable import Servable
from fairlead.serving.policy import Snapshot
from fairlead.serving.source import Aspired
from fairlead.serving.status import State, VersionStatus

__all__ = ["Model", "ModelVersion"]


@dataclass(slots=True, kw_only=True)
class ModelVersion:
    """One version's life. Not safe in threads by itself: the manager's lock guards it.

    Attributes:
        error: why the last load failed; None once one succeeded.
        users: how many requests hold it.
        attempts: loads that failed in a row.
        retry_at: the monotonic second before which it is not tried again.
    """

    id: ServableId
    state: State = State.START
    error: FairleadError | None = None
    servable: Servable | None = None
    manifest: Manifest | None = None
    users: int = 0
    attempts: int = 0
    retry_at: float = 0.0

    def status(self) -> VersionStatus:
        """What a status endpoint shows."""
        if self.error is None:
            return VersionStatus(id=self.id, state=self.state)
        return VersionStatus(id=self.id, state=self.state, code=self.error.code, message=self.error.message)


@dataclass(slots=True, kw_only=True)
class Model:
    """A model's versions. Not safe in threads by itself: the manager's lock guards it.

    Attributes:
        aspired: what should be up, as last read; None before the first time.
        problem: why it cannot be read now; empty when it can.
        last: the version that was stable and up most recently.
        versions: every version that was ever wanted, by number.
    """

    name: str
    aspired: Aspired | None = None
    problem: str = ""
    last: int | None = None
    versions: dict[int, ModelVersion] = field(default_factory=dict)

    def want(self, aspired: Aspired) -> None:
        """Take note of what should be up."""
        self.aspired = aspired
        for number in aspired.versions:
            self.versions.setdefault(number, ModelVersion(id=ServableId(self.name, number)))

    def settle(self) -> None:
        """Remember the stable version while it can answer: it stands in when the next one cannot yet.

        Not only when it is loaded: a version may become stable that is up already.
        """
        if self.aspired and self.aspired.stable in self.available():
            self.last = self.aspired.stable

    def available(self) -> frozenset[int]:
        """The versions that can answer now."""
        return frozenset(number for number, version in self.versions.items() if version.state is State.AVAILABLE)

    def serving(self) -> int | None:
        """The version that answers by default now."""
        up = self.available()
        return next((number for number in (self.aspired and self.aspired.stable, self.last) if number in up), None)

    def snapshots(self, now: float) -> list[Snapshot]:
        """What the policy decides on, at the monotonic second `now`."""
        aspired = self.aspired
        return [
            Snapshot(
                version=number,
                state=version.state,
                is_aspired=aspired is not None and number in aspired.versions,
                is_stable=aspired is not None and number == aspired.stable,
                is_due=now >= version.retry_at,
            )
            for number, version in self.versions.items()
        ]

    def has_ended(self) -> bool:
        """Whether the first attempt at the stable version is over, well or badly."""
        stable = self._stable()
        return stable is not None and (stable.state is State.AVAILABLE or stable.error is not None)

    def trouble(self) -> str:
        """One sentence on what is wrong; empty when all is well."""
        if self.problem:
            return f"{self.name}: {self.problem}"
        stable = self._stable()
        if stable is None or stable.state is State.AVAILABLE:
            return ""
        reason = f": {stable.error.message}" if stable.error else ""
        return f"{self.name}: version {stable.id.version} is {stable.state}{reason}"

    def _stable(self) -> ModelVersion | None:
        return self.versions.get(self.aspired.stable) if self.aspired else None
