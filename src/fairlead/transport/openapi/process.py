"""The routes that are about the process and not about a model, described."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fairlead.transport.openapi.operation import Content, Operation, Schema, ref

__all__ = ["OPERATIONS", "SCHEMAS"]

_STATUS: Schema = {"type": "object", "properties": {"status": {"type": "string"}}, "required": ["status"]}
_SENTENCES: Schema = {"type": "array", "items": {"type": "string"}}

SCHEMAS: Mapping[str, Schema] = {
    "Status": _STATUS,
    "Readiness": {
        "type": "object",
        "properties": {
            "status": {"enum": ["ready", "not ready", "draining"]},
            "models": {"type": "object", "additionalProperties": {"type": ["integer", "null"]}},
            "missing": _SENTENCES,
            "degraded": _SENTENCES,
        },
        "required": ["status", "models", "missing", "degraded"],
    },
}


def _page(path: str, about: str, media_type: str, errors: Mapping[int, Schema] | None = None) -> Operation:
    content = Content(schema={"type": "string"}, media_type=media_type)
    return Operation(method="get", path=path, about=about, tag="Process", answers=(content,), errors=errors or {})


def _probe(path: str, about: str, schema: str, *, may_fail: bool = True) -> Operation:
    return Operation(
        method="get",
        path=path,
        about=about,
        tag="Process",
        answers=(Content(schema=ref(schema)),),
        errors={503: ref(schema)} if may_fail else {},
    )


def _operations() -> Iterator[Operation]:
    for path in ("/health/live", "/alive"):
        yield _probe(path, "Say that the process lives", "Status", may_fail=False)
    yield Operation(
        method="get",
        path="/",
        about="Say that the process lives; to browsers, show a page to try the models on, where there is one",
        tag="Process",
        answers=(Content(schema=ref("Status")), Content(schema={"type": "string"}, media_type="text/html")),
    )
    yield Operation(
        method="get",
        path="/try/{file}",
        about="What that page is made of",
        tag="Process",
        answers=tuple(Content(schema={"type": "string"}, media_type=kind) for kind in ("text/javascript", "text/css")),
        errors={404: ref("Error")},
    )
    yield _probe("/health/startup", "Say whether every model has been tried once", "Status")
    for path in ("/health", "/health/ready"):
        yield _probe(path, "Say whether every model is ready, and what is missing", "Readiness")
    yield _page("/metrics", "Metrics for Prometheus", "text/plain")
    yield _page("/monitoring/prometheus/metrics", "Metrics by TensorFlow Serving's names", "text/plain")
    yield Operation(
        method="get",
        path="/openapi.json",
        about="This description, for programs",
        tag="Process",
        answers=(Content(schema={"type": "object", "required": ["openapi", "paths"]}),),
    )
    yield _page("/docs", "This description, for people", "text/html")


OPERATIONS = tuple(_operations())
