"""What should serve: `release.json`, and how promotions and rollbacks change it."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from fairlead.errors import Code, FairleadError
from fairlead.servable.identity import check_label

__all__ = ["Candidate", "Mode", "Note", "Release", "earlier_stables"]

SCHEMA_VERSION = 1


class Mode(enum.StrEnum):
    """What a candidate is given to do."""

    SHADOW = "shadow"
    """Copies of requests, whose answers nobody sees."""
    CANARY = "canary"
    """A share of the requests, which grows."""
    AB = "ab"
    """A share of the requests, which stays as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A version that is being tried beside the stable one.

    Attributes:
        version: which.
        mode: what it is given.
        weight: the share of requests, above 0 and at most 1.
        salt: makes the assignment of keys to arms that of this rollout alone; the same for all of its steps.
    """

    version: int
    mode: Mode
    weight: float
    salt: str

    def __post_init__(self) -> None:
        if not 0.0 < self.weight <= 1.0:
            raise FairleadError(
                Code.INVALID_ARGUMENT, f"a candidate's weight is {self.weight}, not above 0 and up to 1"
            )

    def to_json(self) -> dict[str, Any]:
        """As it stands in `release.json`."""
        return {"version": self.version, "mode": self.mode.value, "weight": self.weight, "salt": self.salt}

    @staticmethod
    def from_json(body: Mapping[str, Any]) -> Candidate:
        """Read what `to_json` made."""
        return Candidate(
            version=int(body["version"]),
            mode=Mode(body["mode"]),
            weight=float(body["weight"]),
            salt=str(body["salt"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Who changes a release, when, why, and on what evidence."""

    who: str
    why: str
    at: datetime
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """The aspired state of one model. Values: a change makes a new one with the next revision.

    Attributes:
        revision: 1 for the first, one more each time; never reused.
        stable: the version that answers when a caller names none.
        labels: names a caller may use for a version; "stable" always means `stable` and is not kept here.
        candidate: what is tried beside it, if anything is.
        who, why: for people who read the history.
        evidence: what `why` rests on, where it was a program that decided.
        at: when it was written, in UTC.
    """

    revision: int
    stable: int
    who: str
    why: str
    at: datetime
    labels: Mapping[str, int] = field(default_factory=dict)
    candidate: Candidate | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @property
    def versions(self) -> frozenset[int]:
        """Every version that should be loaded."""
        candidates = {self.candidate.version} if self.candidate else set()
        return frozenset({self.stable, *self.labels.values(), *candidates})

    def resolve(self, label: str) -> int | None:
        """The version that `label` means, or None."""
        return self.stable if label == "stable" else self.labels.get(label)

    def with_stable(self, version: int, note: Note) -> Release:
        """The next release, in which `version` is stable and nothing is tried any more."""
        return self._next(note, stable=version, candidate=None)

    def with_candidate(self, candidate: Candidate | None, note: Note) -> Release:
        """The next release, in which `candidate` is tried, or nothing."""
        return self._next(note, candidate=candidate)

    def with_label(self, label: str, version: int, note: Note) -> Release:
        """The next release, in which `label` means `version`."""
        if label == "stable":
            raise FairleadError(
                Code.INVALID_ARGUMENT, "the label 'stable' follows promotions", hint="promote without --label"
            )
        return self._next(note, labels={**self.labels, check_label(label): version})

    def _next(self, note: Note, **changes: Any) -> Release:
        return replace(
            self,
            revision=self.revision + 1,
            who=note.who,
            why=note.why,
            at=note.at,
            evidence=note.evidence,
            **changes,
        )

    def encode(self) -> bytes:
        """The bytes of `release.json`."""
        body = {
            "schema_version": SCHEMA_VERSION,
            "revision": self.revision,
            "stable": self.stable,
            "labels": dict(sorted(self.labels.items())),
            **({"candidate": self.candidate.to_json()} if self.candidate else {}),
            **({"evidence": dict(self.evidence)} if self.evidence else {}),
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
                candidate=Candidate.from_json(body["candidate"]) if "candidate" in body else None,
                evidence=dict(body.get("evidence", {})),
                who=str(body["who"]),
                why=str(body["why"]),
                at=datetime.fromisoformat(body["at"]),
            )
        except FairleadError as error:
            raise FairleadError(Code.DATA_LOSS, f"{where} is not a release: {error.message}") from error
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
