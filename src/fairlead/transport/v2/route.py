"""The routes under `/v2`, and what each asks for."""

from __future__ import annotations

import enum
import functools
import re
from dataclasses import dataclass
from urllib.parse import unquote

from fairlead.access.scope import Scope
from fairlead.errors import Code, FairleadError
from fairlead.serving.target import Target
from fairlead.transport.codes import HttpError
from fairlead.transport.message import Request
from fairlead.transport.path_version import path_version

__all__ = ["Ask", "Route", "asked_scope", "find_route"]

_MODEL = r"/v2/models/([^/]+)(?:/versions/([0-9]+)|/labels/([^/]+))?"
_SHOWN_CHARS = 200


class Ask(enum.Enum):
    """What a path asks for."""

    SERVER = enum.auto()
    LIVE = enum.auto()
    READY = enum.auto()
    STATISTICS = enum.auto()
    MODEL = enum.auto()
    MODEL_READY = enum.auto()
    INFER = enum.auto()
    INDEX = enum.auto()
    LOAD = enum.auto()
    UNLOAD = enum.auto()
    CONFIG = enum.auto()
    NAMED_REPOSITORY = enum.auto()


_ROUTES = tuple(
    (ask, method, re.compile(pattern), scope)
    for ask, method, pattern, scope in (
        (Ask.SERVER, "GET", r"/v2", Scope.PREDICT),
        (Ask.LIVE, "GET", r"/v2/health/live", None),
        (Ask.READY, "GET", r"/v2/health/ready", None),
        (Ask.STATISTICS, "GET", r"/v2/models/stats", Scope.PREDICT),
        (Ask.STATISTICS, "GET", rf"{_MODEL}/stats", Scope.PREDICT),
        (Ask.MODEL, "GET", _MODEL, Scope.PREDICT),
        (Ask.MODEL_READY, "GET", rf"{_MODEL}/ready", Scope.PREDICT),
        (Ask.INFER, "POST", rf"{_MODEL}/infer", Scope.PREDICT),
        (Ask.INDEX, "POST", r"/v2/repository/index", Scope.PREDICT),
        (Ask.LOAD, "POST", r"/v2/repository/models/([^/]+)/load", Scope.ADMIN),
        (Ask.UNLOAD, "POST", r"/v2/repository/models/([^/]+)/unload", Scope.ADMIN),
        (Ask.CONFIG, "GET", rf"{_MODEL}/config", Scope.PREDICT),
        (Ask.NAMED_REPOSITORY, "POST", r"/v2/repository/[^/]+/(?:index|models/[^/]+/(?:un)?load)", Scope.ADMIN),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What a request asks for, and of whom; the model is empty where there is none.

    Attributes:
        scope: what the caller has to be good for; None for what is open to all.
    """

    ask: Ask
    target: Target
    scope: Scope | None


def find_route(request: Request) -> Route:
    """Match the undecoded path; a query changes nothing.

    Raises:
        HttpError: 405 for the wrong method.
        FairleadError: NOT_FOUND for a path that means nothing, INVALID_ARGUMENT for a version beyond 64 bits.
    """
    return _find(request.method, request.path)


def asked_scope(request: Request) -> Scope | None:
    """What the caller has to be good for; what cannot be matched is not open to all."""
    try:
        return find_route(request).scope
    except FairleadError:
        return Scope.PREDICT


@functools.lru_cache(maxsize=256)  # few are asked again and again
def _find(method: str, path: str) -> Route:
    for ask, answered, pattern, scope in _ROUTES:
        if match := pattern.fullmatch(path):
            if method != answered:
                raise _wrong_method(method, path, answered)
            model, version, label = (*match.groups(), None, None, None)[:3]
            target = Target(
                model=unquote(model or ""), version=path_version(version), label=unquote(label) if label else None
            )
            return Route(ask=ask, target=target, scope=scope)
    raise FairleadError(
        Code.NOT_FOUND,
        f"Nothing is served at {path[:_SHOWN_CHARS]}",
        hint="try GET /v2, POST /v2/repository/index or POST /v2/models/MODEL/infer",
    )


def _wrong_method(method: str, path: str, answered: str) -> HttpError:
    return HttpError(
        405,
        Code.INVALID_ARGUMENT,
        f"{path[:_SHOWN_CHARS]} does not answer {method[:20]}",
        hint=f"it answers {answered}",
        headers=((b"allow", answered.encode()),),
    )
