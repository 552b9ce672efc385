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
    """

    settings: Settings
    sockets: Mapping[str, int]

    def line(self) -> bytes:
        """The assignment as it is sent."""
        return _line({"settings": self.settings.texts(), "sockets": dict(self.sockets)})

    @staticmethod
    def parse(line: bytes) -> Assignment:
        """What was sent."""
        told = json.loads(line)
        return Assignment(settings=Settings.read({}, **told["settings"]), sockets=told["sockets"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How a worker is. It says so whenever that changes, and every few seconds to show that it is not stuck.

    Attributes:
        readiness: of its models.
        is_leaving: it has begun to drain.
    """

    readiness: Readiness = field(default_factory=lambda: Readiness(is_started=False, is_ready=False))
    is_leaving: bool = False

    def line(self) -> bytes:
        """The report as it is sent."""
        return _line({"report": {"readiness": dataclasses.asdict(self.readiness), "is_leaving": self.is_leaving}})


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
    return Report(readiness=Readiness(**readiness), is_leaving=report["is_leaving"])


def _line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value).encode() + b"\n"
