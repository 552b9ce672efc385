"""What a version is doing, and whether the process may take traffic: values that other rooms read."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from fairlead.errors import Code
from fairlead.servable.identity import ServableId

__all__ = ["Readiness", "State", "VersionStatus"]


class State(enum.StrEnum):
    """A version's life; it only moves forward. TensorFlow Serving's words and meanings."""

    START = "START"
    LOADING = "LOADING"
    AVAILABLE = "AVAILABLE"
    UNLOADING = "UNLOADING"
    END = "END"


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionStatus:
    """One version as a status endpoint shows it; `code` is None when all is well."""

    id: ServableId
    state: State
    code: Code | None = None
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Whether this process may take traffic.

    Attributes:
        is_started: the first attempt at every required model has ended, well or badly.
        is_ready: every required model is loaded, warmed and proven, there is at least one, and no drain has begun.
        models: for each model the version that serves, or None.
        missing: one sentence for each thing that stands in the way.
        degraded: one sentence for each thing that is wrong although requests are answered.
    """

    is_started: bool
    is_ready: bool
    models: Mapping[str, int | None] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()
