"""Models are tried on the console through the data plane, by whoever is signed in."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest
from tests.cli.logged import Logged
from tests.transport.live import Running

from .conftest import Visitor

ZEROS = json.dumps({"instances": [[[[0.0]] * 28] * 28]})


@pytest.fixture
def ann(live: Logged) -> Iterator[Visitor]:
    """Somebody signed in to the console of a server that answers."""
    running = Running()
    ann = Visitor(live.root, rest=f"http://127.0.0.1:{running.port}")
    ann.users.set_password("ann", "four random words here")
    with ann.client:
        ann.sign_in()
        yield ann
    running.stop()


def ask(visitor: Visitor, path: str, body: str | bytes, content_type: str, token: str | None = None) -> httpx.Response:
    """What the page sends."""
    headers = {"content-type": content_type, "x-csrf-token": visitor.token if token is None else token}
    answer: httpx.Response = visitor.client.post(f"/console/api/try{path}", content=body, headers=headers)
    return answer


def test_the_page_knows_where_to_ask(ann: Visitor) -> None:
    """Its requests go to the console, with the token of the session; those to copy go to the REST port."""
    page = ann.get("/try").text
    assert f'data-api="/console/api/try" data-origin="{ann.rest}" data-token="{ann.token}"' in page
    assert 'id="try-canvas"' in page
    assert ann.get("/static/try.js").status_code == 200


def test_the_data_plane_answers(ann: Visitor, picture: bytes) -> None:
    """Pictures and JSON, in each dialect; its refusals as they are."""
    assert ann.get("/api/try/models").json()["models"][0]["name"] == "digits"
    seen = ask(ann, "/predict?model=digits&inputs=true", picture, "image/png").json()
    assert (seen["model"], len(seen["inputs"]["image"][0])) == ("digits", 28)
    assert "predictions" in ask(ann, "/v1/models/digits/versions/1:predict", ZEROS, "application/json").json()
    refused = ask(ann, "/v2/models/nobody/infer", "{}", "application/json")
    assert (refused.status_code, "nobody" in refused.text) == (404, True)


@pytest.mark.parametrize(
    "path", ["/metrics", "/v2/repository/models/digits/unload", "/v1/models/a%2f..:predict", "//x"]
)
def test_nothing_else_of_it_is_reached(ann: Visitor, path: str) -> None:
    """What the page does not ask is not there."""
    answer = ask(ann, path, "{}", "application/json")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")


def test_only_the_page_may_ask(ann: Visitor, picture: bytes) -> None:
    """Without the session's token nothing is asked, and without a session neither."""
    assert ask(ann, "/predict", picture, "image/png", token="").status_code == 403
    ann.client.cookies.clear()
    answer = ann.get("/api/try/models")
    assert (answer.status_code, answer.json()["error"]["hint"]) == (401, "sign in at /console/login")


def test_a_data_plane_that_is_gone_is_said(visitor: Visitor) -> None:
    """With what to do next."""
    visitor.sign_in()
    answer = visitor.get("/api/try/models")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (503, "UNAVAILABLE")
    assert error["message"].startswith("the REST port does not answer")


def test_what_is_said_of_an_answer_is_said_by_somebody(ann: Visitor, live: Logged) -> None:
    """It is a label like any other, and the journal has who gave it."""
    (given,) = live.answer(1, version=1)
    told = ask(ann, "/feedback", json.dumps({"prediction_id": given.prediction_id, "label": "3"}), "application/json")
    assert told.json()["text"].startswith(f"3 is the label of {given.prediction_id}.")
    entry = ann.get("/api/journal").json()["entries"][0]
    assert (entry["who"], entry["action"], entry["subject"]) == ("ann", "labelled", given.prediction_id)


@pytest.mark.parametrize("body", ["", "[]", '{"label": "3"}', '{"prediction_id": 1, "label": "3"}'])
def test_what_is_not_a_label_is_refused(ann: Visitor, body: str) -> None:
    """It is 400."""
    assert ask(ann, "/feedback", body, "application/json").status_code == 400
