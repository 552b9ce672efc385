"""Browsers that ask at the root are shown a page to try the models on, where there is one."""

from __future__ import annotations

import re

import pytest
from tests.transport.conftest import Client
from tests.transport.fakes import FakeCatalogue, FakePredictor, build_app

from fairlead.trypage.asset import assets

CHROMIUM = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
FIRST_VIEW_BYTES = 500_000


@pytest.mark.parametrize("accept", [CHROMIUM, "Text/HTML"])
def test_browsers_see_the_page(client: Client, accept: str) -> None:
    """Whoever asks for HTML at the root gets it, and caches know that it is not for all."""
    answer = client.request("GET", "/", accept=accept)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.headers["vary"] == "accept"
    assert b'id="try"' in answer.body


@pytest.mark.parametrize("accept", ["", "*/*", "application/json"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_programs_hear_that_the_process_lives(client: Client, method: str, accept: str) -> None:
    """As they do where there is no page; so does a browser's form."""
    assert client.request(method, "/", accept=accept).json() == {"status": "alive"}
    assert client.request("POST", "/", accept=CHROMIUM).json() == {"status": "alive"}


def test_without_the_page_nothing_of_it_is_there(catalogue: FakeCatalogue, predictor: FakePredictor) -> None:
    """A browser hears that the process lives, and its files are 404."""
    client = Client(build_app(catalogue, predictor, has_try_page=False))
    assert client.request("GET", "/", accept=CHROMIUM).json() == {"status": "alive"}
    assert {client.get(f"/try/{name}").status for name in assets()} == {404}


def test_the_page_may_run_its_own_scripts_and_no_others(client: Client) -> None:
    """The policy allows nothing inline and nobody else, and there is nothing inline or from elsewhere in it."""
    answer = client.request("GET", "/", accept=CHROMIUM)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert "unsafe" not in policy
    html = answer.body.decode()
    assert not re.search(r"<script(?![^>]* src=)|<style| style=| on\w+=", html)
    files = re.findall(r'(?:href|src)="([^"#]+)"', html)
    assert [file for file in files if not file.startswith(("try/", "data:image/"))] == ["docs"]


def test_every_file_is_served_and_together_they_are_small(client: Client) -> None:
    """What the page and its modules load is there, and nothing more; a first view loads all of it."""
    page = client.request("GET", "/", accept=CHROMIUM)
    found = set(re.findall(r'(?:href|src)="try/([\w.]+)"', page.body.decode()))
    sizes = [len(page.body)]
    for name, asset in assets().items():
        answer = client.get(f"/try/{name}")
        assert (answer.status, answer.body) == (200, asset.body)
        found.update(re.findall(r'from "\./([\w.]+)"', answer.body.decode()))
        sizes.append(len(answer.body))
    assert found == set(assets())
    assert sum(sizes) < FIRST_VIEW_BYTES / 10


@pytest.mark.parametrize("path", ["/", "/try/try.js", "/try/try.css"])
def test_a_browser_that_has_a_file_is_told_so(client: Client, path: str) -> None:
    """304 for the tag that it names, among others or as a weak one; the file for another tag."""
    tag = client.request("GET", path, accept=CHROMIUM).headers["etag"]
    for known in (tag, f'"old", W/{tag}'):
        assert client.request("GET", path, accept=CHROMIUM, if_none_match=known).status == 304
    assert client.request("GET", path, accept=CHROMIUM, if_none_match='"old"').status == 200


def test_files_are_only_read(client: Client) -> None:
    """HEAD too; other methods are 405, and a file that there is not is 404."""
    assert client.request("HEAD", "/try/try.js").status == 200
    answer = client.post("/try/try.js")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
    assert client.get("/try/page.html").status == 404
