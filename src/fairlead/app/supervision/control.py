"""What the parent and a worker tell each other: JSON lines over a pair of sockets, which end when either does."""

from __future__ import annotations

import dataclasses
import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fairlead.config import Settings
from fairlead.errors import Code, FairleadError
from fairlead.serving.status import Readiness

__all__ = ["Assignment", "Failure", "Order", "Report", "parse_word"]


class Order(enum.StrEnum):
    """What a worker is told after its assignment."""

    ACCEPT = "accept"
    """Take connections from now on."""
    WITHDRAW = "withdraw"
    """The service is about to leave: be no longer ready, and ask clients to close their connections."""
    DRAIN = "drain"
    """Stop accepting, answer what is open, leave."""

    def line(self) -> bytes:
        """The order as it is sent."""
        return _line({"order": self.value})

    @staticmethod
    def parse(line: bytes) -> Order:
        """What was sent."""
        return Order(json.loads(line)["order"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """The first line: what a worker serves, and on which of the file descriptors that it inherited.

    Attributes:
        settings: those of the parent.
        sockets: listening sockets' descriptors, by the protocol's name.
        memory: the descriptor of the memory that all processes count in.
        regions: how many regions it has.
        region: which of them is the worker's.
        spools: the directory of the server's spools, where the recorder answers too; None when nothing is logged.
        lock: the descriptor that keeps that directory the server's own, for as long as the worker lives.
        console_key: the credential of the server's own console; empty where there is none.
        ledger: the descriptor of what callers have used, which all workers share.
    """

    settings: Settings
    sockets: Mapping[str, int]
    memory: int
    regions: int
    region: int
    spools: str | None = None
    lock: int | None = None
    console_key: str = ""
    ledger: int

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What the worker inherits."""
        return (self.memory, self.ledger, *self.sockets.values(), *(() if self.lock is None else (self.lock,)))

    def line(self) -> bytes:
        """The assignment as it is sent."""
        fields = ("sockets", "memory", "regions", "region", "spools", "lock", "console_key", "ledger")
        rest = {field: getattr(self, field) for field in fields}
        return _line({"settings": self.settings.texts(), **rest})

    @staticmethod
    def parse(line: bytes) -> Assignment:
        """What was sent."""
        told = json.loads(line)
        return Assignment(**told | {"settings": Settings.read({}, **told["settings"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How a worker is. It says so whenever that changes, and every few seconds to show that it is not stuck.

    Attributes:
        readiness: of its models.
        versions: those that it wants to serve or still has, as (model, number): only their series are of interest.
        is_leaving: it has begun to drain.
    """

    readiness: Readiness = field(default_factory=lambda: Readiness(is_started=False, is_ready=False))
    versions: frozenset[tuple[str, int]] = frozenset()
    is_leaving: bool = False

    def line(self) -> bytes:
        """The report as it is sent."""
        return _line({"report": dataclasses.asdict(self) | {"versions": sorted(self.versions)}})


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a worker cannot serve: its last word."""

    error: FairleadError

    def line(self) -> bytes:
        """The failure as it is sent."""
        error = self.error
        return _line({"failure": {"code": error.code.value, "message": error.message, "hint": error.hint}})


def parse_word(line: bytes) -> Report | Failure:
    """What a worker sent."""
    told = json.loads(line)
    if "failure" in told:
        failure = told["failure"]
        return Failure(FairleadError(Code(failure["code"]), failure["message"], hint=failure["hint"]))
    report = told["report"]
    readiness = report["readiness"] | {name: tuple(report["readiness"][name]) for name in ("missing", "degraded")}
    versions = frozenset((model, number) for model, number in report["versions"])
    return Report(readiness=Readiness(**readiness), versions=versions, is_leaving=report["is_leaving"])


def _line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value).encode() + b"\n"
