"""The description of the REST port is whole and true."""

import re
from typing import Any

import jsonschema_rs
import pytest
from tests.transport.conftest import Client

from fairlead.transport.health import Health
from fairlead.transport.metrics import MetricsPages
from fairlead.transport.openapi.document import OPERATIONS, document
from fairlead.transport.openapi.operation import Operation, Schema
from fairlead.transport.openapi.pages import OpenApiPages
from fairlead.transport.tfserving import dialect as tfserving
from fairlead.transport.v2 import route as v2

FILLED = {"{model}": "echo", "{version}": "1", "{label}": "stable", "{file}": "try.js"}


def filled(operation: Operation) -> str:
    """A path of the operation, for a model that there is."""
    path = operation.path
    for name, value in FILLED.items():
        path = path.replace(name, value)
    return path


PATHS = {(operation.method.upper(), filled(operation)) for operation in OPERATIONS}


def test_every_v2_route_is_described() -> None:
    """A route that is added to the table without a description fails here."""
    for ask, method, pattern, _ in v2._ROUTES:
        if ask is v2.Ask.NAMED_REPOSITORY:  # refused, whatever is asked
            continue
        assert any(pattern.fullmatch(path) for verb, path in PATHS if verb == method), ask


def test_every_tfserving_route_is_described() -> None:
    """Each verb and page, for the default version, a version and a label."""
    models = ("/v1/models/echo", "/v1/models/echo/versions/1", "/v1/models/echo/labels/stable")
    verbs = re.search(r":\(([a-z|]+)\)$", tfserving._POST.pattern)
    assert verbs is not None
    for model in models:
        assert {("GET", model), ("GET", f"{model}/metadata")} <= PATHS
        assert {("POST", f"{model}:{verb}") for verb in verbs[1].split("|")} <= PATHS


def test_every_other_route_is_described() -> None:
    """Probes, metrics, these pages, and the simple API."""
    for path in Health.PATHS | MetricsPages.PATHS | OpenApiPages.PATHS:
        assert ("GET", path) in PATHS
    assert {("POST", "/predict"), ("POST", "/feedback"), ("GET", "/models")} <= PATHS


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: f"{one.method} {one.path}")
def test_every_description_is_of_a_route(client: Client, operation: Operation) -> None:
    """The server answers each with a status that is described, and 200 where nothing is sent."""
    answer = client.request(operation.method.upper(), filled(operation))
    assert answer.status in {200, *operation.errors}
    if operation.method == "get":
        assert answer.status == 200
        types = [content.media_type for content in operation.answers]
        assert answer.headers["content-type"].partition(";")[0] in types
    else:
        assert "Nothing is served" not in answer.body.decode()


def test_the_document_is_well_formed(client: Client) -> None:
    """Names are known, references lead somewhere, operations have ids of their own."""
    page = client.get("/openapi.json").json()
    assert page["openapi"] == "3.1.0"
    ids = [operation["operationId"] for path in page["paths"].values() for operation in path.values()]
    assert len(ids) == len(set(ids)) == len(OPERATIONS)
    for name in re.findall(r'"\$ref":"#/components/schemas/(\w+)"', client.get("/openapi.json").body.decode()):
        assert name in page["components"]["schemas"]
    for schema in page["components"]["schemas"].values():
        jsonschema_rs.meta.validate(schema)


def check(value: Any, schema: Schema) -> None:
    """Raise unless `value` fits `schema`, whose references are the document's."""
    jsonschema_rs.Draft202012Validator({**schema, "components": document()["components"]}).validate(value)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: f"{one.method} {one.path}")
def test_examples_are_what_they_are_examples_of(operation: Operation) -> None:
    """Each fits its schema."""
    for content in (*operation.body, *operation.answers):
        if content.example is not None:
            check(content.example, content.schema)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: f"{one.method} {one.path}")
def test_answers_are_as_described(client: Client, operation: Operation) -> None:
    """An answer in JSON, good or bad, fits the schema of its status."""
    bodies: list[Any] = [content.example for content in operation.body if content.example] or [None]
    for body in (*bodies, {}):
        answer = client.post(filled(operation), body) if operation.method == "post" else client.get(filled(operation))
        if answer.headers["content-type"] == "application/json":
            schema = operation.errors[answer.status] if answer.status != 200 else operation.answers[0].schema
            check(answer.json(), schema)


def test_the_page_for_people_needs_nothing_else(client: Client) -> None:
    """It has no script and nothing from elsewhere, and its policy forbids both."""
    answer = client.get("/docs")
    text = answer.body.decode()
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert not re.search(r"<script|src=|https?://|onclick|@import|url\(", text)
    for operation in OPERATIONS:
        assert operation.path in text
