"""What a graph is made of, as its manifest says it."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from fairlead.errors import Code, FairleadError
from fairlead.servable.identity import ServableId, parse_id

__all__ = ["DEADLINE_MS", "GRAPH_RUNTIME", "MAX_MEMBERS", "GraphSpec", "Kind", "MemberSpec"]

GRAPH_RUNTIME = "graph"
MAX_MEMBERS = 16
DEADLINE_MS = 50.0
_MOST_DEADLINE_MS = 60_000.0
_MOST_WEIGHT = 1e6
_MOST = 10**12  # whole numbers in JSON may be larger than a float
_FAIL_CODES = (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


class Kind(enum.StrEnum):
    """How members' answers become one."""

    AVERAGE = "average"
    VOTE = "vote"
    STACK = "stack"
    CHAIN = "chain"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberSpec:
    """A version that a graph asks.

    Attributes:
        id: which.
        deadline_ms: how long a run of the graph waits for it.
        weight: what its answer counts for, in an average or a vote.
        takes: in a chain, the name of an output of the member before it for each of its inputs; what is not named here
            has the same name there.
        manifest: the SHA-256 (hex) of its manifest when the graph was published; empty before.
    """

    id: ServableId
    deadline_ms: float = DEADLINE_MS
    weight: float = 1.0
    takes: Mapping[str, str] = field(default_factory=dict)
    manifest: str = ""

    def __post_init__(self) -> None:
        if not 0 < self.deadline_ms <= _MOST_DEADLINE_MS:  # also false for NaN
            raise _wrong(f"{self.id} has a deadline of {self.deadline_ms:g} ms: more than 0, at most 60000")
        if not 1 / _MOST_WEIGHT <= self.weight <= _MOST_WEIGHT:
            raise _wrong(f"{self.id} has the weight {self.weight:g}: it is a number from 0.000001 to 1000000")
        if self.manifest and not _SHA256.fullmatch(self.manifest):
            raise _wrong(f"{self.manifest[:80]!r} is not the SHA-256 of the manifest of {self.id}")

    def to_json(self) -> dict[str, Any]:
        body: dict[str, Any] = {"version": str(self.id), "deadline_ms": self.deadline_ms, "weight": self.weight}
        return body | ({"takes": dict(self.takes)} if self.takes else {}) | {"manifest": self.manifest}

    @staticmethod
    def from_json(data: Any) -> MemberSpec:
        _check_fields(data, "a member", ("version", "deadline_ms", "weight", "takes", "manifest"))
        takes = data.get("takes", {})
        if not isinstance(takes, dict) or not all(isinstance(name, str) for name in takes.values()):
            raise _wrong(f"takes is {takes!r}: it names an output for each input")
        return MemberSpec(
            id=parse_id(str(data.get("version", ""))),
            deadline_ms=_number(data, "deadline_ms", DEADLINE_MS),
            weight=_number(data, "weight", 1.0),
            takes=takes,
            manifest=str(data.get("manifest", "")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphSpec:
    """A graph. A member speaks for a row when it answers within its deadline, in its shape, with finite numbers.

    Attributes:
        kind: how the members' answers become one.
        members: who is asked; in a chain, in this order.
        final: who is given what all members said, in a stack.
        quorum: how many members must speak at least, in an average or a vote; all of them in a stack and a chain.
        agreement: the least share of a vote that the winner must have; 0 for any.
        fallback: whose answer counts alone where too few spoke or agreed; None for nobody's. One that is not a member
            is asked only then.
        fail: the code of the error where there is no answer in the end.

    Raises:
        FairleadError: INVALID_ARGUMENT for what makes no sense.
    """

    kind: Kind
    members: tuple[MemberSpec, ...]
    final: MemberSpec | None = None
    quorum: int
    agreement: float = 0.0
    fallback: MemberSpec | None = None
    fail: Code = Code.UNAVAILABLE

    def __post_init__(self) -> None:
        least = 1 if self.kind is Kind.STACK else 2
        if not least <= len(self.members) <= MAX_MEMBERS:
            raise _wrong(
                f"a graph of the kind {self.kind} has {least} to {MAX_MEMBERS} members, not {len(self.members)}"
            )
        asked = [str(member.id) for member in (*self.members, *([self.final] if self.final else []))]
        if twice := sorted({name for name in asked if asked.count(name) > 1}):
            raise _wrong(f"{twice[0]} is there twice; a weight makes one count for more")
        if (self.final is None) is (self.kind is Kind.STACK):
            raise _wrong(f"a graph of the kind {self.kind} has {'a' if self.final is None else 'no'} final version")
        if self.kind in (Kind.STACK, Kind.CHAIN) and self.quorum != len(self.members):
            raise _wrong(f"the quorum is {self.quorum}: a {self.kind} needs all its {len(self.members)} members")
        if not 1 <= self.quorum <= len(self.members):
            raise _wrong(f"the quorum is {self.quorum} of {len(self.members)} members")
        if not 0 <= self.agreement <= 1 or (self.agreement and self.kind is not Kind.VOTE):
            raise _wrong(
                f"the agreement is {self.agreement:g}: a vote's is a share from 0 to 1, and nothing else has one"
            )
        if self.kind is not Kind.CHAIN and any(member.takes for member in self.members):
            raise _wrong(f"a {self.kind} gives its members what it is asked itself: takes is for a chain")
        if self.kind in (Kind.STACK, Kind.CHAIN) and any(member.weight != 1 for member in self.members):
            raise _wrong(f"the members of a {self.kind} have no weights")
        if self.fail not in _FAIL_CODES:
            raise _wrong(f"a graph fails with {' or '.join(_FAIL_CODES)}, not {self.fail}")

    @property
    def versions(self) -> tuple[MemberSpec, ...]:
        """All that it may ask, each once."""
        named = [*self.members, *([self.final] if self.final else []), *([self.fallback] if self.fallback else [])]
        return tuple({spec.id: spec for spec in reversed(named)}.values())[::-1]

    def pinned(self, manifests: Mapping[ServableId, str]) -> GraphSpec:
        """The same, of the versions that have these manifests and no others."""

        def pin(named: MemberSpec) -> MemberSpec:
            return replace(named, manifest=manifests[named.id])

        return replace(
            self,
            members=tuple(map(pin, self.members)),
            final=pin(self.final) if self.final else None,
            fallback=pin(self.fallback) if self.fallback else None,
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind.value,
            "members": [member.to_json() for member in self.members],
            "final": self.final.to_json() if self.final else None,
            "quorum": self.quorum,
            "agreement": self.agreement,
            "fallback": self.fallback.to_json() if self.fallback else None,
            "fail": self.fail.value,
        }

    @staticmethod
    def from_json(data: Any) -> GraphSpec:
        """Read what `to_json` wrote, or what a person did, who may leave out all but the kind and the members.

        Raises:
            FairleadError: INVALID_ARGUMENT for what is no graph.
        """
        _check_fields(data, "a graph", ("kind", "members", "final", "quorum", "agreement", "fallback", "fail"))
        kinds, codes = [kind.value for kind in Kind], [code.value for code in _FAIL_CODES]
        kind, fail = data.get("kind"), data.get("fail", _FAIL_CODES[0].value)
        if kind not in kinds:
            raise _wrong(f"{str(kind)[:80]!r} is no kind of graph: {', '.join(kinds)}")
        if fail not in codes:
            raise _wrong(f"a graph fails with {' or '.join(codes)}, not {str(fail)[:80]!r}")
        found = data.get("members")
        if not isinstance(found, Sequence) or isinstance(found, str):
            raise _wrong("a graph has a list of members")
        members = tuple(MemberSpec.from_json(member) for member in found)
        quorum = data.get("quorum", _default_quorum(Kind(kind), len(members)))
        if type(quorum) is not int:
            raise _wrong(f"the quorum is {quorum!r}: it is a whole number")
        final, fallback = data.get("final"), data.get("fallback")
        return GraphSpec(
            kind=Kind(kind),
            members=members,
            final=None if final is None else MemberSpec.from_json(final),
            quorum=quorum,
            agreement=_number(data, "agreement", 0.0),
            fallback=None if fallback is None else MemberSpec.from_json(fallback),
            fail=Code(fail),
        )


def _default_quorum(kind: Kind, members: int) -> int:
    """More than half; all where each is needed."""
    return members if kind in (Kind.STACK, Kind.CHAIN) else members // 2 + 1


def _check_fields(data: Any, what: str, known: Sequence[str]) -> None:
    if not isinstance(data, Mapping):
        raise _wrong(f"{str(data)[:80]!r} is not {what}: it is a JSON object")
    if unknown := sorted(set(map(str, data)) - set(known)):
        raise _wrong(f"{what} has no {unknown[0][:80]!r}; it has {', '.join(known)}")


def _number(data: Mapping[str, Any], name: str, default: float) -> float:
    value = data.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(f"{name} is {str(value)[:80]!r}: it is a number")
    return float(min(max(value, -_MOST), _MOST)) if isinstance(value, int) else value


def _wrong(message: str) -> FairleadError:
    return FairleadError(Code.INVALID_ARGUMENT, message, hint="see docs/graphs.md")
