"""The OpenAPI document of the whole REST port, and the same as a page to read."""

from __future__ import annotations

from html import escape
from importlib import metadata
from typing import Any

import orjson

from fairlead.transport.openapi import process
from fairlead.transport.openapi.operation import Content, Operation
from fairlead.transport.simple import operations as simple
from fairlead.transport.tfserving import operations as tfserving
from fairlead.transport.v2 import operations as v2

__all__ = ["OPERATIONS", "STYLE", "document", "page"]

_TABLES = (simple, tfserving, v2, process)

OPERATIONS: tuple[Operation, ...] = sum((table.OPERATIONS for table in _TABLES), ())

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "summary{cursor:pointer}code,pre{font:14px/1.5 ui-monospace,monospace}"
    "pre{background:#8881;padding:.5rem;overflow:auto}"
)


def document() -> dict[str, Any]:
    """The description that OpenAPI 3.1 asks for."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = operation.describe()
    schemas = {name: schema for table in _TABLES for name, schema in table.SCHEMAS.items()}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Fairlead", "version": metadata.version("fairlead"), "description": _ABOUT},
        "paths": paths,
        "components": {"schemas": schemas},
    }


_ABOUT = "Models behind TensorFlow Serving's REST API, the Open Inference Protocol V2 and a simple one."


def page() -> str:
    """The operations as HTML, by dialect; it needs nothing from anywhere else."""
    tags = dict.fromkeys(operation.tag for operation in OPERATIONS)
    sections = (_section(tag, [one for one in OPERATIONS if one.tag == tag]) for tag in tags)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Fairlead</title>'
        '<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">'
        f"<style>{STYLE}</style></head><body><h1>Fairlead {escape(metadata.version('fairlead'))}</h1>"
        f'<p>{escape(_ABOUT)} For programs: <a href="/openapi.json">openapi.json</a>.</p>'
        f"{''.join(sections)}</body></html>"
    )


def _section(tag: str, operations: list[Operation]) -> str:
    return f"<h2>{escape(tag)}</h2>{''.join(map(_details, operations))}"


def _details(operation: Operation) -> str:
    parameters = "".join(
        f"<li><code>{escape(one.name)}</code> {escape(one.about)}</li>" for one in operation.parameters
    )
    errors = ", ".join(map(str, operation.errors))
    return (
        f"<details><summary><code>{operation.method.upper()} {escape(operation.path)}</code> "
        f"{escape(operation.about)}</summary>"
        + (f"<ul>{parameters}</ul>" if parameters else "")
        + "".join(_example("takes", content) for content in operation.body)
        + "".join(_example("answers", content) for content in operation.answers)
        + (f"<p>Errors: {errors}</p>" if errors else "")
        + "</details>"
    )


def _example(verb: str, content: Content) -> str:
    shown = "" if content.example is None else f"<pre>{escape(_pretty(content.example))}</pre>"
    return f"<p>{verb} <code>{content.media_type}</code></p>{shown}"


def _pretty(example: Any) -> str:
    return orjson.dumps(example, option=orjson.OPT_INDENT_2).decode()
