"""The page in a real browser, over models that are a line of numpy."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Request, Route, expect
from tests.browser import OpenTab, Tab
from tests.transport.fakes import DTYPES, FakeCatalogue
from tests.transport.live import Running

from fairlead.servable.manifest import Manifest
from fairlead.serving.status import Readiness
from fairlead.serving.target import Target
from fairlead.transport.listener import open_socket

MOST_BYTES, MOST_S = 500_000, 1.0
VIEWS = (
    {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light"},
    {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"},
)
DIALECTS = ("Simple", "TensorFlow Serving", "V2")
EXAMPLES = ("digits", "echo", "pair", "words", "flags", "half", *(f"same-{dtype}" for dtype in DTYPES))
HOSTILE = '"><img src=x onerror=alert(1)>'


@dataclass
class Shop(FakeCatalogue):
    """Shows models that a test chooses, with labels of its own."""

    shown: tuple[str, ...] = EXAMPLES
    names: tuple[str, ...] = tuple("0123456789")

    def __post_init__(self) -> None:
        self.ready = Readiness(is_started=True, is_ready=True, models=dict.fromkeys(self.shown, 1))

    def describe(self, target: Target) -> Manifest:
        manifest = super().describe(target)
        return replace(manifest, labels=self.names) if manifest.labels else manifest


@contextmanager
def serving(catalogue: FakeCatalogue, shared: socket.socket | None = None) -> Iterator[Running]:
    """A server with these models, for as long as the context lasts; of a port of its own unless one is given."""
    running = Running(catalogue=catalogue, shared=shared)
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """One with a model of each kind."""
    with serving(Shop()) as running:
        yield running


@pytest.fixture
def url(running: Running) -> str:
    """Where its page is."""
    return url_of(running)


def url_of(running: Running) -> str:
    """Where the page of a server is."""
    return f"http://127.0.0.1:{running.port}/"


def opened(tab: Tab, model: str = "digits") -> Page:
    """The page, with a model chosen."""
    tab.page.get_by_role("combobox", name="Model").select_option(model)
    return tab.page


def draw_line(page: Page, points: int = 2) -> None:
    """A stroke from the middle of the drawing area down."""
    box = page.locator("#try-canvas").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 4)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * 3 / 4, steps=points)
    page.mouse.up()


def test_the_first_view_is_small_and_quick(open_tab: OpenTab, url: str) -> None:
    """500 KB and a second at most until one can draw, with an empty cache; the quickest of three, as others run too."""
    times, sizes = [], []
    for _ in range(3):
        page = open_tab().page
        began = time.monotonic()
        page.goto(url)
        page.locator("#try-canvas").wait_for()
        times.append(time.monotonic() - began)
        read = "['navigation', 'resource'].flatMap((kind) => performance.getEntriesByType(kind))"
        sizes.append(page.evaluate(f"() => {read}.reduce((sum, one) => sum + one.transferSize, 0)"))
    assert min(times) <= MOST_S, times
    assert 20_000 < max(sizes) <= MOST_BYTES


@pytest.mark.parametrize("view", VIEWS, ids=["light-1440", "dark-390"])
def test_nobody_is_kept_out(open_tab: OpenTab, url: str, view: dict[str, Any]) -> None:
    """On no tab, with an answer and with an error, is anything that axe calls serious, or wider than the window."""
    tab = open_tab(url, **view)
    page = opened(tab)
    for name in ("Draw", "Picture", "JSON"):
        page.get_by_role("tab", name=name).click()
        assert (tab.violations(), tab.overflow()) == ([], 0)
    page.get_by_text("The same request as code").click()
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#try-label")).not_to_be_empty()
    assert (tab.violations(), tab.overflow()) == ([], 0)
    page.get_by_label("Body").fill("[")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("alert")).to_contain_text("JSON")
    assert (tab.violations(), tab.overflow()) == ([], 0)
    opened(tab, "words").get_by_role("tab", name="Message").click()
    page.get_by_role("textbox", name="Message").fill("hello")
    expect(page.locator("#try-raw")).to_contain_text("HELLO")
    assert (tab.violations(), tab.overflow()) == ([], 0)
    assert len(tab.take_faults()) == 1  # the 400


def test_one_request_is_on_its_way_at_a_time(open_tab: OpenTab, url: str) -> None:
    """However fast the hand is, and the last one asks about all of the drawing."""
    tab = open_tab(url)
    page = opened(tab)
    open_now: set[Request] = set()
    most: list[int] = []

    def begin(request: Request) -> None:
        open_now.add(request)
        most.append(len(open_now))

    page.on("request", begin)
    page.on("requestfinished", lambda request: open_now.discard(request))  # noqa: PLW0108 - it gets an attribute
    draw_line(page, points=100)
    expect(page.locator("#try-label")).not_to_be_empty()
    page.wait_for_function("() => document.querySelector('#try-spoken').textContent")  # when all is quiet
    drawn = page.evaluate(
        "() => new Promise((done) => document.querySelector('#try-canvas').toBlob(async (blob) =>"
        " done([...new Uint8Array(await blob.arrayBuffer())])))"
    )
    assert max(most) == 1
    assert len(most) < 50
    whole = page.request.post(f"{url}predict?model=digits", data=bytes(drawn)).json()
    assert page.locator("#try-proba").inner_text() == f"{100 * whole['proba']:.1f} %"


def test_it_can_be_used_without_a_mouse(open_tab: OpenTab, url: str) -> None:
    """Tabs by the arrows; on the drawing area a digit draws itself, Backspace takes it back, Delete clears."""
    page = opened(open_tab(url))
    page.get_by_role("tab", name="Draw").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Picture")).to_be_focused()
    expect(page.get_by_role("tabpanel", name="Picture")).to_be_visible()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Tab")
    expect(page.locator("#try-canvas")).to_be_focused()
    page.keyboard.press("4")
    expect(page.locator("#try-label")).to_be_visible()
    page.keyboard.press("Backspace")  # of two strokes one is left
    expect(page.locator("#try-label")).to_be_visible()
    page.keyboard.press("Delete")
    expect(page.get_by_text("Draw something")).to_be_visible()


def test_undo_and_clear(open_tab: OpenTab, url: str) -> None:
    """Undo takes the last stroke back, clear all of them; then nothing is asked and nothing shown."""
    page = opened(open_tab(url))
    paper = "() => document.querySelector('#try-canvas').toDataURL()"
    blank = page.evaluate(paper)
    page.get_by_role("button", name="7", exact=True).click()
    seven = page.evaluate(paper)
    draw_line(page)
    assert page.evaluate(paper) not in (blank, seven)
    page.get_by_role("button", name="Undo").click()
    assert page.evaluate(paper) == seven
    page.get_by_role("button", name="Clear").click()
    assert page.evaluate(paper) == blank
    expect(page.locator("#try-verdict")).to_be_hidden()
    expect(page.locator("#try-code")).to_be_hidden()


def test_the_example_of_every_signature_is_answered(open_tab: OpenTab, url: str) -> None:
    """What the JSON tab is filled with is right for the version, in each dialect."""
    tab = open_tab(url)
    tab.page.get_by_role("tab", name="JSON").click()
    for model in EXAMPLES:
        page = opened(tab, model)
        for dialect in DIALECTS:
            page.get_by_label(dialect).check()
            with page.expect_response(lambda response: response.request.method == "POST") as asked:
                page.get_by_role("button", name="Send").click()
            assert asked.value.status == 200, asked.value.text()
        expect(page.locator("#try-took")).to_contain_text("ms")


def test_a_model_of_texts_is_asked_as_one_types(open_tab: OpenTab, url: str) -> None:
    """There is a tab for a message, and none to draw on; other models have none for messages."""
    page = opened(open_tab(url), "words")
    page.get_by_role("textbox", name="Message").fill('it\'s "quoted"')
    expect(page.locator("#try-raw")).to_contain_text("IT'S")
    expect(page.get_by_role("tab", name="Draw")).to_be_hidden()
    opened(Tab(page), "digits")
    expect(page.get_by_role("tab", name="Message")).to_be_hidden()


def test_what_was_drawn_stands_on_the_json_tab(open_tab: OpenTab, url: str) -> None:
    """As the picture for the simple interface, as the tensor that it became for the others."""
    page = opened(open_tab(url))
    page.get_by_role("button", name="7", exact=True).click()
    expect(page.locator("#try-seen")).to_be_visible()
    page.get_by_role("tab", name="JSON").click()
    expect(page.get_by_label("Body")).to_have_value(re.compile("image"))
    page.get_by_label("V2").check()
    expect(page.get_by_label("Body")).to_have_value(re.compile("FP32"))
    (tensor,) = json.loads(page.get_by_label("Body").input_value())["inputs"]
    assert tensor["shape"] == [1, 28, 28, 1]
    assert max(tensor["data"]) == 1.0


def test_what_is_no_picture_is_refused_in_the_server_s_words(
    open_tab: OpenTab, url: str, tmp_path: Path, picture: bytes
) -> None:
    """With its hint; and the next one that is a picture is answered."""
    tab = open_tab(url)
    page = opened(tab)
    page.get_by_role("tab", name="Picture").click()
    (tmp_path / "no.txt").write_text("no")
    page.get_by_label("Picture file").set_input_files(tmp_path / "no.txt")
    expect(page.get_by_role("alert")).to_contain_text("neither a PNG or JPEG picture nor JSON")
    expect(page.get_by_role("alert")).to_contain_text("send a picture (curl")
    assert len(tab.take_faults()) == 1
    (tmp_path / "yes.png").write_bytes(picture)
    page.get_by_label("Picture file").set_input_files(tmp_path / "yes.png")
    expect(page.locator("#try-seen")).to_be_visible()
    expect(page.get_by_role("alert")).to_be_hidden()


def test_a_server_that_is_gone_is_told_and_found_again(open_tab: OpenTab) -> None:
    """Nothing that was drawn is lost."""
    with serving(Shop()) as running:
        tab = open_tab(url_of(running))
        opened(tab).get_by_role("button", name="1", exact=True).click()
        expect(tab.page.locator("#try-label")).to_be_visible()
    tab.page.get_by_role("button", name="7", exact=True).click()
    expect(tab.page.get_by_role("alert")).to_contain_text("The server cannot be reached. Is it running?")
    assert tab.take_faults()
    with closing(open_socket("127.0.0.1", running.port)) as port, serving(Shop(), shared=port):
        draw_line(tab.page)
        expect(tab.page.locator("#try-label")).to_be_visible()
        expect(tab.page.get_by_role("alert")).to_be_hidden()


def test_without_a_model_the_next_command_is_told(open_tab: OpenTab) -> None:
    """The page looks again, and is there once a model is."""
    shop = Shop(shown=())
    with serving(shop) as running:
        tab = open_tab(url_of(running))
        expect(tab.page.get_by_text("No model answers yet.")).to_contain_text("fairlead train digits")
        assert tab.violations() == []
        shop.ready = Readiness(is_started=True, is_ready=True, models={"digits": 1})
        expect(tab.page.locator("#try-canvas")).to_be_visible()


def test_names_are_only_ever_text(open_tab: OpenTab) -> None:
    """A model's and its classes' names, what a model says and errors run no script and become no elements."""
    names = tuple(f"{HOSTILE}{digit}" for digit in range(10))
    with serving(Shop(shown=("digits", "words"), names=names)) as running:
        tab = open_tab()
        tab.page.on("dialog", lambda dialog: tab.faults.append(dialog.message))
        tab.page.route("**/models", add_hostile_model)
        tab.page.goto(url_of(running))
        page = opened(tab)
        page.get_by_role("button", name="7", exact=True).click()
        expect(page.locator("#try-label")).to_contain_text(HOSTILE)
        opened(tab, "words").get_by_role("textbox", name="Message").fill(HOSTILE)
        expect(page.locator("#try-raw")).to_contain_text("ONERROR")
        opened(tab, HOSTILE)
        expect(page.get_by_role("alert")).to_contain_text(HOSTILE)
        page.get_by_role("tab", name="JSON").click()
        page.get_by_text("The same request as code").click()
        expect(page.locator("#try-snippet")).to_contain_text("img")
        assert page.locator("img:not(#try-preview)").count() == 0
        assert (tab.violations(), tab.overflow()) == ([], 0)
        assert all("404" in fault for fault in tab.take_faults())


def add_hostile_model(route: Route) -> None:
    """Answer with one more model, which a proxy made up, since no store takes such a name."""
    listed = route.fetch().json()
    digits = listed["models"][0]
    route.fulfill(json=listed | {"models": [*listed["models"], digits | {"name": HOSTILE}]})
