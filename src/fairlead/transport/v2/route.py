"""The routes under `/v2`, and what each asks for."""

from __future__ import annotations

import enum
import functools
import re
from dataclasses import dataclass
from urllib.parse import unquote

from fairlead.errors import Code, FairleadError
from fairlead.serving.target import Target
from fairlead.transport.codes import HttpError
from fairlead.transport.message import Request
from fairlead.transport.path_version import path_version

__all__ = ["Ask", "Route", "find_route"]

_MODEL = r"/v2/models/([^/]+)(?:/versions/([0-9]+))?"
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
    (ask, method, re.compile(pattern))
    for ask, method, pattern in (
        (Ask.SERVER, "GET", r"/v2"),
        (Ask.LIVE, "GET", r"/v2/health/live"),
        (Ask.READY, "GET", r"/v2/health/ready"),
        (Ask.STATISTICS, "GET", r"/v2/models/stats"),
        (Ask.STATISTICS, "GET", rf"{_MODEL}/stats"),
        (Ask.MODEL, "GET", _MODEL),
        (Ask.MODEL_READY, "GET", rf"{_MODEL}/ready"),
        (Ask.INFER, "POST", rf"{_MODEL}/infer"),
        (Ask.INDEX, "POST", r"/v2/repository/index"),
        (Ask.LOAD, "POST", r"/v2/repository/models/([^/]+)/load"),
        (Ask.UNLOAD, "POST", r"/v2/repository/models/([^/]+)/unload"),
        (Ask.CONFIG, "GET", rf"{_MODEL}/config"),
        (Ask.NAMED_REPOSITORY, "POST", r"/v2/repository/[^/]+/(?:index|models/[^/]+/(?:un)?load)"),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What a request asks for, and of whom; the model is empty where there is none."""

    ask: Ask
    target: Target


def find_route(request: Request) -> Route:
    """Match the undecoded path; a query changes nothing.

    Raises:
        HttpError: 405 for the wrong method.
        FairleadError: NOT_FOUND for a path that means nothing, INVALID_ARGUMENT for a version beyond 64 bits.
    """
    return _find(request.method, request.path)


@functools.lru_cache(maxsize=256)  # few are asked again and again
def _find(method: str, path: str) -> Route:
    for ask, answered, pattern in _ROUTES:
        if match := pattern.fullmatch(path):
            if method != answered:
                raise _wrong_method(method, path, answered)
            model, version = (*match.groups(), None, None)[:2]
            return Route(ask=ask, target=Target(model=unquote(model or ""), version=path_version(version)))
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
