"""One model as the manager holds it: its versions' lives, and what should be up of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fairlead.errors import FairleadError
from fairlead.servable.identity import ServableId
from fairlead.serving.loading import LoadedVersion
from fairlead.serving.policy import Snapshot
from fairlead.serving.router import default_version
from fairlead.serving.source import Aspired
from fairlead.serving.status import State, VersionStatus

__all__ = ["Model", "ModelVersion"]


@dataclass(slots=True, kw_only=True)
class ModelVersion:
    """One version's life. Not safe in threads by itself: the manager's lock guards it.

    Attributes:
        directory: where a plain version is; None for one that was published in the store.
        error: why the last load failed; None once one succeeded.
        users: how many requests hold it.
        attempts: loads that failed in a row.
        retry_at: the monotonic second before which it is not tried again.
    """

    id: ServableId
    directory: Path | None = None
    state: State = State.START
    error: FairleadError | None = None
    loaded: LoadedVersion | None = None
    users: int = 0
    attempts: int = 0
    retry_at: float = 0.0

    def forgive(self) -> None:
        """Let a version that could not be loaded be tried again at once."""
        if self.state is State.END:
            self.error, self.attempts, self.retry_at = None, 0, 0.0

    def status(self) -> VersionStatus:
        """What a status endpoint shows."""
        if self.error is None:
            return VersionStatus(id=self.id, state=self.state)
        return VersionStatus(id=self.id, state=self.state, code=self.error.code, message=self.error.message)


class _Available(Collection[int]):
    __slots__ = ("_versions",)

    def __init__(self, versions: Mapping[int, ModelVersion]) -> None:
        self._versions = versions

    def __contains__(self, number: object) -> bool:
        version = self._versions.get(number)  # type: ignore[call-overload] # of another type there is none
        return version is not None and version.state is State.AVAILABLE

    def __iter__(self) -> Iterator[int]:
        return (number for number, version in self._versions.items() if version.state is State.AVAILABLE)

    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass(slots=True, kw_only=True)
class Model:
    """A model's versions. Not safe in threads by itself: the manager's lock guards it.

    Attributes:
        aspired: what should be up, as last read; None before the first time.
        problem: why it cannot be read now; empty when it can.
        last: the version that was stable, or stood in for it, and was up most recently.
        default_label: the one that a caller means who names neither version nor label; None for what is stable.
        is_open: the first attempts at what was wanted first are over; before, no version counts as serving.
        versions: every version that was ever wanted, by number.
    """

    name: str
    aspired: Aspired | None = None
    problem: str = ""
    last: int | None = None
    default_label: str | None = None
    is_open: bool = False
    versions: dict[int, ModelVersion] = field(default_factory=dict)

    def want(self, aspired: Aspired) -> None:
        """Take note of what should be up."""
        self.aspired = aspired
        for number in aspired.versions:
            version = self.versions.setdefault(number, ModelVersion(id=ServableId(self.name, number)))
            version.directory = aspired.plain.get(number)

    def settle(self) -> None:
        """Remember the version that answers by default: it stands in when the next stable one cannot yet.

        Not only when it is loaded: a version may become stable that is up already.
        """
        stand_in = self._stand_in()
        if self.aspired and self.aspired.stable in self.available():
            self.last = self.aspired.stable
        elif stand_in is not None:
            version = self.versions.setdefault(stand_in, ModelVersion(id=ServableId(self.name, stand_in)))
            self.last = stand_in if version.state is State.AVAILABLE else self.last
        self.is_open = self.is_open or self.has_ended()

    def is_wanted(self) -> bool:
        """Whether anything should be up of it; not so for a model that was taken out of service."""
        return self.aspired is None or bool(self.aspired.versions) or bool(self.problem)

    def available(self) -> Collection[int]:
        """The versions that can answer now. A view, not a copy: it is asked for by every request."""
        return _Available(self.versions)

    def serving(self) -> int | None:
        """The version that answers by default now, None while it may soon be another one."""
        if not self.is_open:
            return None
        labels = self.aspired.labels if self.aspired and self.default_label else {}
        version = labels.get(self.default_label or "")
        return version if version in self.available() else default_version(self.aspired, self.available(), self.last)

    def snapshots(self, now: float) -> list[Snapshot]:
        """What the policy decides on, at the monotonic second `now`."""
        aspired, stand_in = self.aspired, self._stand_in()
        return [
            Snapshot(
                version=number,
                state=version.state,
                is_aspired=aspired is not None and (number in aspired.versions or number == stand_in),
                is_default=aspired is not None and number in aspired.defaults,
                is_due=now >= version.retry_at,
            )
            for number, version in self.versions.items()
        ]

    def has_ended(self) -> bool:
        """Whether the first attempt at every default version is over, well or badly, and at what stands in for one."""
        defaults, stand_in = self._defaults(), self._stand_in()
        if stand_in is not None and stand_in not in self.available():
            return False
        return bool(defaults) and all(v.state is State.AVAILABLE or v.error is not None for v in defaults)

    def trouble(self) -> str:
        """One sentence on what is wrong; empty when all is well."""
        if self.problem:
            return f"{self.name}: {self.problem}"
        troubles = [_trouble(version) for version in self._defaults() if version.state is not State.AVAILABLE]
        return f"{self.name}: {'; '.join(troubles)}" if troubles else ""

    def label_trouble(self) -> str:
        """One sentence on a default label that no version which is up has; empty when all is well."""
        labels = self.aspired.labels if self.aspired else {}
        if not self.default_label or labels.get(self.default_label) in self.available():
            return ""
        return f"{self.name}: no version is up with its default label {self.default_label!r}"

    def _stand_in(self) -> int | None:
        """The version of an earlier release that is to answer: the stable one failed, and none that served is up."""
        aspired = self.aspired
        stable = self.versions.get(aspired.stable) if aspired and aspired.stable is not None else None
        if aspired is None or stable is None or stable.error is None:
            return None
        if self.last in self.available() and self.last not in aspired.earlier:
            return None
        return next((number for number in aspired.earlier if self._may_load(number)), None)

    def _may_load(self, number: int) -> bool:
        version = self.versions.get(number)
        return version is None or version.error is None

    def _defaults(self) -> list[ModelVersion]:
        return [self.versions[number] for number in sorted(self.aspired.defaults)] if self.aspired else []


def _trouble(version: ModelVersion) -> str:
    reason = f": {version.error.message}" if version.error else ""
    return f"version {version.id.version} is {version.state}{reason}"
