"""The version or label that headers name, over HTTP or as metadata: `X-Model-Version` and `X-Model-Label`."""

from __future__ import annotations

from dataclasses import replace

from fairlead.errors import Code, FairleadError
from fairlead.servable.identity import parse_version
from fairlead.serving.target import Target
from fairlead.transport.message import Request
from fairlead.transport.ports import Catalogue

__all__ = ["LABEL_HEADER", "VERSION_HEADER", "AskedVersion", "asked_target", "labelled", "read_asked", "with_headers"]

VERSION_HEADER = b"x-model-version"
LABEL_HEADER = b"x-model-label"
_CHAMPION = "champion"
_STABLE = "stable"
_SHOWN_CHARS = 80


class AskedVersion:
    """What headers name: a version, or a label; not changed once it is made."""

    __slots__ = ("label", "version")

    def __init__(self, version: int | None, label: str | None) -> None:
        self.version = version
        self.label = label


def with_headers(target: Target, request: Request, catalogue: Catalogue) -> Target:
    """Whom `request` is for, when its path says `target`; raises what `read_asked` and `asked_target` do."""
    head = request.head
    if not head.has(VERSION_HEADER) and not head.has(LABEL_HEADER):
        return target
    version, label = (
        b",".join([value for name, value in head.headers if name == wanted])
        for wanted in (VERSION_HEADER, LABEL_HEADER)
    )
    return asked_target(target, read_asked(version, label), catalogue)


def read_asked(version: bytes, label: bytes) -> AskedVersion | None:
    """What the values of the two headers ask for, where one that is empty or left out asks for nothing.

    Raises:
        FairleadError: INVALID_ARGUMENT for both, or for what is no version.
    """
    if not version and not label:
        return None
    if version and label:
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            "X-Model-Version and X-Model-Label are both given",
            hint="leave one of them out",
        )
    if label:
        return AskedVersion(None, label.decode("latin-1"))
    number = parse_version(version.decode("latin-1"))
    if number is None:
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            f"X-Model-Version is {version[:_SHOWN_CHARS].decode('latin-1')!r}, which is not a version",
            hint="a version is a whole number from 1 on; X-Model-Label takes a label",
        )
    return AskedVersion(number, None)


def asked_target(target: Target, asked: AskedVersion | None, catalogue: Catalogue) -> Target:
    """`target` with what headers ask for.

    Raises:
        FairleadError: INVALID_ARGUMENT when it names something else itself, NOT_FOUND for a label that is none.
    """
    if asked is None:
        return target
    if target.version is None and target.label is None:
        return labelled(replace(target, version=asked.version, label=asked.label), catalogue)
    if (target.version, target.label) != (asked.version, asked.label):
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            f"the request is for {_said(target.version, target.label)}, "
            f"and its header for {_said(asked.version, asked.label)}",
            hint="leave one of them out",
        )
    return target


def labelled(target: Target, catalogue: Catalogue) -> Target:
    """`target`, whose label, if it has one, is one of the model's; "champion" means what is stable where it is none.

    Raises:
        FairleadError: NOT_FOUND when the model is known and has no such label.
    """
    if target.label is None:
        return target
    if not catalogue.knows(target.model, None):
        return replace(target, label=None)  # that nobody knows the model is said in the protocol's own words
    labels = catalogue.labels(target.model)
    if target.label in labels:
        return target
    if target.label == _CHAMPION and _STABLE in labels:
        return replace(target, label=_STABLE)
    raise FairleadError(
        Code.NOT_FOUND,
        f"{target.model} has no label {target.label[:_SHOWN_CHARS]!r}; it has {', '.join(sorted(labels)) or 'none'}",
        hint="GET /models lists the models, their versions and labels",
    )


def _said(version: int | None, label: str | None) -> str:
    return f"label {label[:_SHOWN_CHARS]!r}" if label is not None else f"version {version}"
