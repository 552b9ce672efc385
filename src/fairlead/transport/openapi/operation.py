"""One thing that a REST route does, as its dialect describes it and as OpenAPI 3.1 writes it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

__all__ = ["JSON", "VERSION_HEADERS", "Content", "Operation", "Parameter", "Schema", "ref"]

Schema = Mapping[str, Any]
JSON = "application/json"

_NAMES = re.compile(r"\{(\w+)\}")
_PATH_PARAMETERS: Mapping[str, tuple[str, Schema]] = {
    "model": ("a model's name", {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"}),
    "version": ("a version's number", {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}),
    "file": ("a file's name", {"type": "string", "pattern": "^[a-z.]{1,32}$"}),
    "label": ("a name that a release gave to a version", {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"}),
}
_OK, _CLIENT_CLOSED = 200, 499


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """What may stand in the query or in a header."""

    name: str
    place: str
    about: str
    schema: Schema = field(default_factory=lambda: {"type": "string"})

    def describe(self) -> dict[str, Any]:
        return {"name": self.name, "in": self.place, "description": self.about, "schema": self.schema}


VERSION_HEADERS = tuple(
    Parameter(
        name=f"X-Model-{name.capitalize()}", place="header", about=f"{about}, where the path names none", schema=schema
    )
    for name, (about, schema) in _PATH_PARAMETERS.items()
    if name in ("version", "label")
)
"""Who is to answer; at most one of the two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A body: its type, what is in it, and one as an example."""

    schema: Schema
    example: Any = None
    media_type: str = JSON

    def describe(self) -> dict[str, Any]:
        return {"schema": self.schema} | ({} if self.example is None else {"example": self.example})


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A method on a path.

    Attributes:
        path: with names in braces; each is one of "model", "version", "label" and "file".
        about: what it does, in a few words.
        tag: the dialect.
        answers: the bodies of a success, one of each type; none when it has none.
        errors: the schema of the JSON body of each other status that it may answer with.
        body: the bodies that it takes, one of each type.
        parameters: those that are not in the path.
    """

    method: str
    path: str
    about: str
    tag: str
    answers: tuple[Content, ...] = ()
    errors: Mapping[int, Schema] = field(default_factory=dict)
    body: tuple[Content, ...] = ()
    parameters: tuple[Parameter, ...] = ()

    @property
    def names(self) -> list[str]:
        """The parameters in the path."""
        return _NAMES.findall(self.path)

    def describe(self) -> dict[str, Any]:
        """The operation object of OpenAPI."""
        described: dict[str, Any] = {
            "summary": self.about,
            "operationId": re.sub(r"\W+", "_", f"{self.method}{self.path}").strip("_"),
            "tags": [self.tag],
            "parameters": [*map(_path_parameter, self.names), *(item.describe() for item in self.parameters)],
            "responses": {"200": _response(_OK, self.answers)}
            | {str(status): _response(status, (Content(schema=schema),)) for status, schema in self.errors.items()},
        }
        if self.body:
            described["requestBody"] = {"required": True, "content": _contents(self.body)}
        return described


def ref(name: str) -> Schema:
    """The schema of that name in the document's components."""
    return {"$ref": f"#/components/schemas/{name}"}


def _path_parameter(name: str) -> dict[str, Any]:
    about, schema = _PATH_PARAMETERS[name]
    return {"name": name, "in": "path", "required": True, "description": about, "schema": schema}


def _response(status: int, contents: tuple[Content, ...]) -> dict[str, Any]:
    words = "Client Closed Request" if status == _CLIENT_CLOSED else HTTPStatus(status).phrase
    return {"description": words} | ({"content": _contents(contents)} if contents else {})


def _contents(contents: tuple[Content, ...]) -> dict[str, Any]:
    return {content.media_type: content.describe() for content in contents}
