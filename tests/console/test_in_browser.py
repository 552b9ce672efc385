"""The console of a real server in a real browser: every page, light and dark, wide and narrow, and its buttons."""

from __future__ import annotations

import http.server
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from tests.browser import OpenTab, Tab
from tests.cli.clients import wait_until
from tests.cli.conftest import Server, kept, running, starting
from tests.cli.logged import Logged

from fairlead.console.users import Users

from .conftest import PASSWORD
from .scene import begin_scene

PAGES = (
    "/",
    "/models",
    "/models/digits",
    "/models/digits/3",
    "/models/digits/compare?left=2&right=3",
    "/rollouts",
    "/rollouts/ID",
    "/quality",
    "/drift",
    "/predictions",
    "/training",
    "/training/ID",
    "/journal",
    "/try",
)
VIEWS = (
    {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light"},
    {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"},
)


@dataclass(frozen=True)
class Console:
    """A server over a day of production, with a console that ann is signed in to.

    Attributes:
        state: her cookies, for a tab.
    """

    server: Server
    live: Logged
    state: Any

    @property
    def url(self) -> str:
        """Where the console is, without the slash."""
        return f"http://127.0.0.1:{self.server.management_port}/console"

    def open(self, open_tab: OpenTab, path: str, **options: Any) -> Tab:
        """A tab of hers."""
        return open_tab(f"{self.url}{path}", storage_state=self.state, **options)


def sign_in(tab: Tab) -> None:
    """Fill the form that the tab shows."""
    tab.page.get_by_label("Name").fill("ann")
    tab.page.get_by_label("Password").fill(PASSWORD)
    tab.page.get_by_role("button", name="Sign in").click()
    tab.page.get_by_role("button", name="Sign out ann").wait_for(state="attached")


def told(tab: Tab, path: str) -> Any:
    """What a page says as JSON."""
    return tab.page.evaluate("path => fetch(path).then(answer => answer.json())", f"/console/api{path}")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Logged]]:
    """One for all the tests of this module."""
    root = tmp_path_factory.mktemp("console")
    live = begin_scene(root)
    Users(root / "home" / "console").set_password("ann", PASSWORD)
    with starting(root) as start:
        server = start(live.store.root, "--home", str(root / "home"), "--workers", "1", "--console", "on")
        server.wait_ready()
        wait_until(lambda: server.page("/console/login", server.management_port)[0] == 200)
        yield server, live


@pytest.fixture
def console(server: tuple[Server, Logged], open_tab: OpenTab) -> Console:
    """Ann has just signed in."""
    console = Console(*server, state=None)
    tab = console.open(open_tab, "/login")
    sign_in(tab)
    state = tab.page.context.storage_state()
    tab.page.goto("about:blank")
    return Console(*server, state=state)


@pytest.mark.parametrize("view", VIEWS, ids=("light-1440", "dark-390"))
def test_every_page_is_whole(console: Console, open_tab: OpenTab, view: dict[str, Any]) -> None:
    """No error in the browser's console, nothing that keeps people out, nothing wider than the window, no script.

    Whatever models, people and clients wrote is shown and never run, and nothing is fetched from anywhere else.
    """
    tab = console.open(open_tab, "/", **view)
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.url))
    rollout = told(tab, "/rollouts")["running"][0]["rollout"]
    run = told(tab, "/training")["runs"][0]["run"]
    for path in PAGES:
        name = rollout if path.startswith("/rollouts") else run
        tab.page.goto(f"{console.url}{path.replace('ID', name)}")
        assert (path, tab.take_faults(), tab.violations(), tab.overflow()) == (path, [], [], 0)
        assert tab.page.title().endswith(" · Fairlead")
        assert tab.page.locator("main script, main img[onerror]").count() == 0
    assert [url for url in asked if not url.startswith((console.url, "data:image/png"))] == []


def test_the_login_and_the_errors_are_whole_too(console: Console, open_tab: OpenTab) -> None:
    """For whoever has not signed in, and for whoever is lost."""
    tab = open_tab(f"{console.url}/login")
    assert (tab.violations(), tab.overflow()) == ([], 0)
    lost = console.open(open_tab, "/nowhere")
    assert lost.page.get_by_role("alert").inner_text() == "there is no page at /console/nowhere"
    assert lost.violations() == []
    assert len(lost.take_faults()) == 1  # the 404 itself


def test_the_first_view_is_quick_and_small(console: Console, open_tab: OpenTab) -> None:
    """Within a second and half a megabyte, with an empty cache; the quickest of three, since other tests run too."""
    times, sizes = [], []
    for _ in range(3):
        tab = console.open(open_tab, "/")
        spent: list[float] = tab.page.evaluate(
            """() => [performance.getEntriesByType("navigation")[0], ...performance.getEntriesByType("resource")]
            .map(entry => [entry.responseEnd, entry.transferSize])
            .reduce((sum, one) => [Math.max(sum[0], one[0]), sum[1] + one[1]])"""
        )
        times.append(spent[0])
        sizes.append(spent[1])
    assert min(times) <= 1000, times
    assert 2_000 < max(sizes) <= 500_000


def test_charts_come_alive(console: Console, open_tab: OpenTab) -> None:
    """What is asked is drawn within seconds, and nobody has to reload the page."""
    tab = console.open(open_tab, "/")
    body = b'{"instances": [%b]}' % str([[[0.5]] * 28] * 28).encode()
    for _ in range(20):
        assert console.server.call("POST", "/v1/models/digits:predict", body)[0] == 200
    tab.page.wait_for_function("() => /digits@[23]: /.test(document.querySelector('svg.chart').ariaLabel)")
    assert tab.take_faults() == []


def test_a_label_by_form_changes_the_online_accuracy(console: Console, open_tab: OpenTab) -> None:
    """On the page of quality, and in what the management port tells of the model."""

    def labelled() -> int:
        found = console.server.managed("/quality/digits")[1]["versions"]
        return sum(one["accuracy"]["rows"] for one in found if one["accuracy"])

    def accuracy() -> Any:
        return next(arm["accuracy"] for arm in told(tab, "/quality")["arms"] if arm["name"] == "version 2, stable")

    tab = console.open(open_tab, "/predictions?version=2&arm=stable")
    rows = told(tab, "/predictions?version=2&arm=stable")["rows"]
    open_row = next(row for row in rows if row["label"] is None and row["predicted"] == "7")
    before, counted = accuracy(), labelled()
    tab.page.get_by_label(f"Truth of {open_row['id']}").fill("1")
    tab.page.get_by_role("button", name=f"Label {open_row['id']}").click()
    tab.page.get_by_role("status").filter(has_text=f"1 is the label of {open_row['id']}").wait_for()
    after = accuracy()
    assert after["rows"] == before["rows"] + 1
    assert after["value"] < before["value"]
    wait_until(lambda: labelled() == counted + 1, timeout_s=40)
    tab.page.goto(f"{console.url}/journal")
    assert open_row["id"] in tab.page.get_by_role("row").nth(1).inner_text()


def test_a_rollback_by_button_takes_effect(console: Console, open_tab: OpenTab) -> None:
    """The earlier version serves within a poll, and the journal says who and why; without a reason nothing is done."""

    def serves() -> Any:
        return console.server.call("GET", "/v1/models/digits/metadata")[1]["model_spec"]["version"]

    assert serves() == "2"
    tab = console.open(open_tab, "/models/digits")
    button = tab.page.get_by_role("button", name="Roll back")
    button.click()
    assert tab.page.get_by_role("status").filter(has_text="serves").count() == 0  # the browser asks for the reason
    tab.page.locator("form", has=button).get_by_label("Reason").fill("wrong on sevens")
    tab.page.keyboard.press("Enter")
    tab.page.get_by_role("status").filter(has_text="Version 1 of digits serves").wait_for()
    wait_until(lambda: serves() == "1")
    tab.page.goto(f"{console.url}/journal")
    line = tab.page.get_by_role("row").nth(1).inner_text()
    assert all(part in line for part in ("rolled back", "ann", "wrong on sevens"))


def test_enter_alone_decides_no_rollout(console: Console, open_tab: OpenTab) -> None:
    """Of three buttons one is to be chosen."""
    tab = console.open(open_tab, "/rollouts")
    tab.page.get_by_role("link", name="digits: version 3 against 2").first.click()
    tab.page.get_by_label("Reason").fill("a try")
    tab.page.keyboard.press("Enter")
    tab.page.get_by_role("button", name="Abort").wait_for()
    assert console.live.rollouts.of_model("digits")[0].ended_us is None


def test_keys_alone_are_enough(console: Console, open_tab: OpenTab) -> None:
    """The first key leads past the navigation; on a phone the menu opens by key."""
    tab = console.open(open_tab, "/")
    tab.page.keyboard.press("Tab")
    tab.page.keyboard.press("Enter")
    assert tab.page.evaluate("() => document.activeElement.id") == "main"
    phone = console.open(open_tab, "/", **VIEWS[1])
    link = phone.page.get_by_role("link", name="Journal")
    assert not link.is_visible()
    phone.page.get_by_text("Menu").focus()
    phone.page.keyboard.press("Enter")
    link.click()
    phone.page.wait_for_url("**/journal")


class Foreign(http.server.BaseHTTPRequestHandler):
    """A page of somebody else, which sends a form to the console as soon as it is seen."""

    console = ""

    def do_GET(self) -> None:
        page = f"""<form method="post" action="{self.console}/models/digits/promote"><input name="version" value="3">
        <input name="why" value="forged"></form><script>document.forms[0].submit()</script>"""
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(page.encode())

    def log_message(self, *_arguments: Any) -> None:
        """Nothing."""


def test_a_form_of_another_page_is_refused(
    console: Console, open_tab: OpenTab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 403, also where the browser sends her cookie along, as it does between ports of one machine."""
    monkeypatch.setattr(Foreign, "console", console.url)
    before = console.live.store.release("digits")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Foreign) as foreign:
        threading.Thread(target=foreign.serve_forever, daemon=True).start()
        tab = open_tab("", storage_state=console.state)
        with tab.page.expect_response("**/promote") as answer:
            tab.page.goto(f"http://127.0.0.1:{foreign.server_port}/")
        assert answer.value.status == 403
        assert "cookie" in answer.value.request.all_headers()
        foreign.shutdown()
    tab.take_faults()
    assert console.live.store.release("digits") == before


def test_an_expired_session_leads_to_the_login_and_back(console: Console, open_tab: OpenTab) -> None:
    """A page that was open says so by itself; the login leads back to it. A new console knows no session."""
    tab = console.open(open_tab, "/models/digits?from=here")
    pid = kept(console.server, "fairlead.app.console")
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: running(console.server, "fairlead.app.console") not in ([], [pid]))
    wait_until(lambda: console.server.page("/console/login", console.server.management_port)[0] == 200)
    tab.page.get_by_text("You are signed out.").wait_for()
    tab.page.reload()
    tab.page.get_by_text("You were signed out").wait_for()
    sign_in(tab)
    assert tab.page.url == f"{console.url}/models/digits?from=here"
    tab.take_faults()  # what the page asked while nobody answered


def test_without_scripts_the_pages_are_whole(console: Console, browser: Browser) -> None:
    """They are only not kept up to date."""
    context = browser.new_context(java_script_enabled=False, storage_state=console.state)
    page = context.new_page()
    page.goto(f"{console.url}/predictions")
    assert page.get_by_role("row").count() > 10
    context.close()


def test_passwords_are_nowhere_but_hashed(server: tuple[Server, Logged]) -> None:
    """In no file of the home and in no log."""
    _, live = server
    found = [path for path in live.root.rglob("*") if path.is_file() and PASSWORD.encode() in Path(path).read_bytes()]
    assert found == []


@pytest.mark.parametrize("view", VIEWS, ids=("light-1440", "dark-390"))
def test_a_model_is_tried(console: Console, open_tab: OpenTab, view: dict[str, Any]) -> None:
    """As on the REST port; what is said of an answer is said by whoever is signed in."""
    tab = console.open(open_tab, "/try", **view)
    page = tab.page
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#try-label")).to_have_text("7")  # this model says so of everything
    page.get_by_role("button", name="Yes, 7").click()
    expect(page.locator("#try-thanks")).to_contain_text("7 is the label of")
    page.get_by_text("The same request as code").click()
    expect(page.locator("#try-snippet")).to_contain_text(f"http://127.0.0.1:{console.server.port}/predict?model=digits")
    assert (tab.violations(), tab.overflow()) == ([], 0)
    entry = told(tab, "/journal")["entries"][0]
    assert (entry["who"], entry["action"], entry["subject"]) == (
        "ann",
        "labelled",
        page.locator("#try-id").inner_text(),
    )
