"""Who a servable is: a model's name and a version number."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fairlead.errors import Code, FairleadError

__all__ = ["MAX_VERSION", "ServableId", "check_label", "check_model_name", "parse_id", "parse_version"]

MAX_VERSION = 2**63 - 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_VERSION = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class ServableId:
    """One version of one model."""

    model: str
    version: int

    def __str__(self) -> str:
        return f"{self.model}@{self.version}"


def parse_id(text: str) -> ServableId:
    """The version that MODEL@VERSION names, else INVALID_ARGUMENT."""
    model, _, number = text.rpartition("@")
    version = parse_version(number)
    if version is None:
        raise FairleadError(
            Code.INVALID_ARGUMENT, f"{text[:80]!r} is not MODEL@VERSION", hint="fairlead versions MODEL lists them"
        )
    return ServableId(check_model_name(model), version)


def check_model_name(name: str) -> str:
    """Return `name` if it can be a model's name (and so a directory's), else raise INVALID_ARGUMENT."""
    return _check(name, "model name")


def check_label(name: str) -> str:
    """Return `name` if it can be a version label, else raise INVALID_ARGUMENT."""
    return _check(name, "label")


def parse_version(text: str) -> int | None:
    """The version that `text` names, or None: decimal digits, no leading zero, at least 1, below 2^63."""
    if not _VERSION.fullmatch(text):
        return None
    version = int(text)
    return version if version <= MAX_VERSION else None


def _check(name: str, what: str) -> str:
    if _NAME.fullmatch(name):
        return name
    raise FairleadError(
        Code.INVALID_ARGUMENT,
        f"{name[:80]!r} is not a {what}",
        hint="use 1 to 64 letters, digits, '.', '_' or '-', starting with a letter or digit",
    )
