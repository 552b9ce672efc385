"""The digit web app: a browser, a real server, and a model that was trained on handwriting."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Page, expect
from tests.browser import OpenTab
from tests.cli.clients import wait_until
from tests.cli.conftest import Server, starting

from fairlead.console.users import Users

pytestmark = pytest.mark.slow

PASSWORD = "four random words here"
SEVEN = ((0.26, 0.27), (0.26, 0.15), (0.75, 0.15), (0.56, 0.5), (0.46, 0.87))
"""A 7, as corners of a stroke in a square of 1."""


@pytest.fixture(scope="module")
def server(mnist_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`fairlead serve` with the digit model, as a developer starts it, and its console, where ann may sign in."""
    root = tmp_path_factory.mktemp("digits")
    Users(root / "home" / "console").set_password("ann", PASSWORD)
    with starting(root) as start:
        server = start(mnist_store, "--workers", "1", "--console", "on", "--home", str(root / "home"))
        server.wait_ready()
        yield server
        assert server.stop() == 0


@pytest.fixture
def url(server: Server) -> str:
    """Where the page is."""
    return f"http://127.0.0.1:{server.port}/"


def corners(page: Page) -> list[tuple[float, float]]:
    """Where the corners of the 7 are on the page."""
    page.locator("#try-canvas").scroll_into_view_if_needed()
    box = page.locator("#try-canvas").bounding_box()
    assert box
    return [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in SEVEN]


def draw_seven(page: Page) -> None:
    """Draw a 7 with the mouse."""
    start, *rest = corners(page)
    page.mouse.move(*start)
    page.mouse.down()
    for corner in rest:
        page.mouse.move(*corner, steps=10)
    page.mouse.up()


def expect_seven(page: Page) -> str:
    """Wait until a 7 is seen and all has settled; the prediction's id."""
    expect(page.locator("#try-label")).to_have_text("7")
    page.wait_for_function("() => document.querySelector('#try-spoken').textContent.startsWith('7,')")
    return page.locator("#try-id").inner_text()


def seven_png(folder: Path) -> Path:
    """A picture of a 7, as a user may have it: large, dark on light, under a name with a quote and a space."""
    image = Image.new("RGB", (300, 400), (250, 245, 230))
    line = [(50 + 200 * x, 100 + 200 * y) for x, y in SEVEN]
    ImageDraw.Draw(image).line(line, fill=(20, 20, 60), width=18, joint="curve")
    path = folder / "it's 7.png"
    image.save(path)
    return path


def test_drawing_a_seven_gives_seven(open_tab: OpenTab, url: str, server: Server) -> None:
    """With what the model saw, a bar for each digit, the version and the time; and saying that it is right counts."""
    page = open_tab(url).page
    draw_seven(page)
    prediction = expect_seven(page)
    bars = dict(line.split("\n") for line in page.locator("#try-bars li").all_inner_texts())
    assert list(bars) == list("0123456789")
    assert max(bars, key=lambda digit: float(bars[digit].removesuffix(" %"))) == "7"
    seen = page.locator("#try-seen canvas")
    assert seen.evaluate("(canvas) => [canvas.width, canvas.height]") == [28, 28]
    darkest = "(canvas) => Math.min(...canvas.getContext('2d').getImageData(0, 0, 28, 28).data)"
    assert seen.evaluate(darkest) < 50
    expect(page.locator("#try-model")).to_have_text("digits, version 1")
    expect(page.locator("#try-took")).to_have_text(re.compile(r"^\d+(\.\d)? ms$"))
    page.get_by_role("button", name="Yes, 7").click()
    expect(page.locator("#try-thanks")).to_contain_text("Thank you")
    page.get_by_role("combobox", name="No, it was").select_option("1")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#try-thanks")).to_contain_text("corrected")
    taken: list[Any] = []

    def is_joined() -> bool:
        body = json.dumps({"prediction_id": prediction, "label": "1"}).encode()
        taken.append(server.call("POST", "/feedback", body))
        return bool(taken[-1] == (200, {"prediction_id": prediction, "outcome": "repeated"}))

    wait_until(is_joined)


def test_drawing_a_seven_on_the_console_gives_seven(open_tab: OpenTab, server: Server) -> None:
    """For whoever is signed in."""
    wait_until(lambda: server.page("/console/login", server.management_port)[0] == 200)
    page = open_tab(f"http://127.0.0.1:{server.management_port}/console/login?next=/console/try").page
    page.get_by_label("Name").fill("ann")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    draw_seven(page)
    expect_seven(page)
    expect(page.locator("#try-model")).to_have_text("digits, version 1")


def test_a_finger_draws_too(open_tab: OpenTab, url: str) -> None:
    """On a phone, where the page does not scroll away under it."""
    page = open_tab(url, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True).page
    (x, y), *rest = corners(page)
    touch = page.context.new_cdp_session(page)
    before = page.evaluate("() => scrollY")
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
    for to_x, to_y in rest:
        for step in range(1, 11):
            point = {"x": x + (to_x - x) * step / 10, "y": y + (to_y - y) * step / 10}
            touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
        x, y = to_x, to_y
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    expect_seven(page)
    assert page.evaluate("() => scrollY") == before


def test_every_example_reads_as_itself(open_tab: OpenTab, url: str) -> None:
    """The ten digits that the page draws by itself are what they say."""
    page = open_tab(url).page
    for digit in "0123456789":
        page.get_by_role("button", name=digit, exact=True).click()
        expect(page.locator("#try-label")).to_have_text(digit)


def test_a_dropped_picture_is_read(open_tab: OpenTab, url: str, tmp_path: Path) -> None:
    """Wherever on the page it is dropped; the code to copy reads the file."""
    page = open_tab(url).page
    path = seven_png(tmp_path)
    drop = page.evaluate_handle(
        "async ([bytes, name]) => { const held = new DataTransfer();"
        " held.items.add(new File([new Uint8Array(bytes)], name, { type: 'image/png' })); return held; }",
        [list(path.read_bytes()), path.name],
    )
    page.locator("#try").dispatch_event("drop", {"dataTransfer": drop})
    expect_seven(page)
    expect(page.get_by_role("tab", name="Picture")).to_have_attribute("aria-selected", "true")
    for language in ("curl", "Python"):
        answer = run(copied(page, language), language, tmp_path)
        assert (answer["label"], answer["model"]) == ("7", "digits")


def test_a_chosen_picture_is_read(open_tab: OpenTab, url: str, tmp_path: Path) -> None:
    """As a dropped one."""
    page = open_tab(url).page
    page.get_by_role("tab", name="Picture").click()
    page.get_by_label("Picture file").set_input_files(seven_png(tmp_path))
    expect_seven(page)


def test_the_code_to_copy_gives_the_same_answer(open_tab: OpenTab, url: str, tmp_path: Path) -> None:
    """curl, Python and JavaScript; for the drawing, and in each dialect of the JSON tab."""
    page = open_tab(url).page
    draw_seven(page)
    expect_seven(page)
    shown = float(page.locator("#try-proba").inner_text().removesuffix(" %"))

    def check() -> None:
        for language in ("curl", "Python"):
            probabilities = probabilities_of(run(copied(page, language), language, tmp_path))
            assert probabilities.index(max(probabilities)) == 7
            assert abs(100 * max(probabilities) - shown) < 0.06
        with page.expect_console_message() as logged:
            page.evaluate(f"async () => {{ {copied(page, 'JavaScript')} }}")
        probabilities = probabilities_of(logged.value.args[0].json_value())
        assert abs(100 * probabilities[7] - shown) < 0.06

    check()
    page.get_by_role("tab", name="JSON").click()
    for dialect in ("Simple", "TensorFlow Serving", "V2"):
        page.get_by_label(dialect).check()
        check()


def copied(page: Page, language: str) -> str:
    """The code in the clipboard, once the button has been pressed."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    if page.locator("#try-code").get_attribute("open") is None:
        page.get_by_text("The same request as code").click()
    page.get_by_label(language, exact=True).check()
    word = {"curl": "curl ", "Python": "urlopen(", "JavaScript": "await fetch("}[language]
    expect(page.locator("#try-snippet")).to_contain_text(word)
    page.locator("#try-copy").click()
    page.wait_for_function(
        "async () => await navigator.clipboard.readText() === document.querySelector('#try-snippet').textContent"
    )
    return str(page.evaluate("() => navigator.clipboard.readText()"))


def run(code: str, language: str, folder: Path) -> Any:
    """What it prints, run in a shell in this folder."""
    line = code if language == "curl" else f"{shlex.quote(sys.executable)} -c {shlex.quote(code)}"
    done = subprocess.run(
        line, shell=True, cwd=folder, capture_output=True, text=True, timeout=30, check=True, executable="/bin/sh"
    )
    return json.loads(done.stdout)


def probabilities_of(answer: Any) -> list[float]:
    """Those of the first row, whichever the dialect."""
    if "outputs" in answer:
        return list(answer["outputs"][0]["data"])
    (row,) = answer.get("predictions", [answer])
    return list(row["probabilities"].values()) if isinstance(row, dict) else list(row)


def test_the_page_is_off_in_production(mnist_store: Path, tmp_path: Path) -> None:
    """There a browser hears what every client does."""
    with starting(tmp_path) as start:
        other = start(mnist_store, "--workers", "1", "--env", "prod")
        other.wait_ready()
        assert other.call("GET", "/", headers={"accept": "text/html"}) == (200, {"status": "alive"})
        assert other.call("GET", "/try/try.js")[0] == 404
