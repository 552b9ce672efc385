"""Whatever fits the description of a route, and much that does not, gets an answer that the description has."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import given
from hypothesis import strategies as st
from schemathesis import Case
from tests.transport.examples import examples
from tests.transport.live import TIMEOUT_S, Running

from fairlead.transport.openapi.document import OPERATIONS, document
from fairlead.transport.openapi.operation import Operation

SCHEMA = schemathesis.openapi.from_dict(document())
MODELS = st.none() | st.sampled_from(["digits", "echo", "pair", "words", "flags", "half", "serialized", "fixed"])


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """A server for all tests here."""
    server = Running(quiet_s=0.0)
    yield server
    server.drain()
    server.thread.join(TIMEOUT_S)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: f"{one.method} {one.path}")
def test_every_answer_is_described(running: Running, operation: Operation) -> None:
    """No answer is an internal error, each has a status that its operation has, and the server goes on."""
    cases = SCHEMA[operation.path][operation.method.upper()].as_strategy()
    with requests.Session() as session:

        @examples(5)
        @given(case=cases, model=MODELS, version=st.sampled_from([1, None]))
        def check(case: Case[Any], model: str | None, version: int | None) -> None:
            known = {"model": model, "version": version, "label": "stable" if version else None}
            case.path_parameters |= {name: known[name] for name in operation.names if known.get(name)}
            answer = case.call(base_url=f"http://127.0.0.1:{running.port}", session=session, timeout=TIMEOUT_S)
            assert answer.status_code != 500, answer.text
            assert answer.status_code in {200, *operation.errors}, answer.text

        check()
