"""What should serve: `release.json`, and how promotions and rollbacks change it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from fairlead.errors import Code, FairleadError
from fairlead.servable.identity import check_label

__all__ = ["Release", "earlier_stables"]

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """The aspired state of one model. Values: a change makes a new one with the next revision.

    Attributes:
        revision: 1 for the first, one more each time; never reused.
        stable: the version that answers when a caller names none.
        labels: names a caller may use for a version; "stable" always means `stable` and is not kept here.
        who, why: for people who read the history.
        at: when it was written, in UTC.
    """

    revision: int
    stable: int
    who: str
    why: str
    at: datetime
    labels: Mapping[str, int] = field(default_factory=dict)

    @property
    def versions(self) -> frozenset[int]:
        """Every version that should be loaded."""
        return frozenset({self.stable, *self.labels.values()})

    def resolve(self, label: str) -> int | None:
        """The version that `label` means, or None."""
        return self.stable if label == "stable" else self.labels.get(label)

    def with_stable(self, version: int, *, who: str, why: str, at: datetime) -> Release:
        """The next release, in which `version` is stable."""
        return replace(self, revision=self.revision + 1, stable=version, who=who, why=why, at=at)

    def with_label(self, label: str, version: int, *, who: str, why: str, at: datetime) -> Release:
        """The next release, in which `label` means `version`."""
        if label == "stable":
            raise FairleadError(
                Code.INVALID_ARGUMENT, "the label 'stable' follows promotions", hint="promote without --label"
            )
        labels = {**self.labels, check_label(label): version}
        return replace(self, revision=self.revision + 1, labels=labels, who=who, why=why, at=at)

    def encode(self) -> bytes:
        """The bytes of `release.json`."""
        body = {
            "schema_version": SCHEMA_VERSION,
            "revision": self.revision,
            "stable": self.stable,
            "labels": dict(sorted(self.labels.items())),
            "who": self.who,
            "why": self.why,
            "at": self.at.astimezone(UTC).isoformat(timespec="seconds"),
        }
        return json.dumps(body, indent=2, ensure_ascii=False).encode() + b"\n"

    @staticmethod
    def decode(data: bytes, where: str = "release.json") -> Release:
        """Read `release.json`; `where` names it in errors.

        Raises:
            FairleadError: DATA_LOSS when it is no release, FAILED_PRECONDITION when a newer Fairlead wrote it.
        """
        try:
            body = json.loads(data)
            schema = body["schema_version"]
            release = Release(
                revision=int(body["revision"]),
                stable=int(body["stable"]),
                labels={str(label): int(version) for label, version in body["labels"].items()},
                who=str(body["who"]),
                why=str(body["why"]),
                at=datetime.fromisoformat(body["at"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise FairleadError(Code.DATA_LOSS, f"{where} is not a release: {type(error).__name__}: {error}") from error
        if release.at.tzinfo is None:
            raise FairleadError(Code.DATA_LOSS, f"{where} is not a release: its time has no time zone")
        if schema != SCHEMA_VERSION:
            raise FairleadError(
                Code.FAILED_PRECONDITION,
                f"{where} has schema version {schema!r}; this Fairlead reads {SCHEMA_VERSION}",
                hint="pip install --upgrade fairlead",
            )
        return release


def earlier_stables(history: Sequence[Release]) -> tuple[int, ...]:
    """The versions a rollback may return to, the nearest first.

    Promotions stack up and a rollback takes them off again, so that a second rollback goes further back and never
    to the version that the first one fled.

    Args:
        history: every release, oldest first; the last is in force.

    >>> at = datetime(2026, 1, 1, tzinfo=UTC)
    >>> stables = [1, 2, 3, 2]  # 3 was rolled back
    >>> earlier_stables([Release(revision=i, stable=v, who="", why="", at=at) for i, v in enumerate(stables, 1)])
    (1,)
    """
    stack: list[int] = []
    for release in history:
        if release.stable in stack:
            del stack[stack.index(release.stable) + 1 :]
        else:
            stack.append(release.stable)
    return tuple(reversed(stack[:-1]))
