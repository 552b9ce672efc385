"""The browser of the tests sees what is wrong with a page."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from .browser import OpenTab, opening_tabs

WHOLE = '<!doctype html><html lang="en"><title>Page</title><main><h1>Page</h1></main></html>'


def page_of(folder: Path, html: str) -> str:
    """The URL of a page that says `html`."""
    path = folder / "page.html"
    path.write_text(html)
    return path.as_uri()


def test_a_page_that_is_in_order_has_no_faults(open_tab: OpenTab, tmp_path: Path) -> None:
    """Nothing is noted, axe finds nothing, nothing hangs out of the window."""
    tab = open_tab(page_of(tmp_path, WHOLE))
    assert (tab.faults, tab.violations(), tab.overflow()) == ([], [], 0)


@pytest.mark.parametrize(
    ("script", "fault"),
    [
        ("console.error('lost')", "error: lost"),
        ("console.warn('odd')", "warning: odd"),
        ("throw new Error('broken')", "exception: broken"),
        ("fetch('http://elsewhere.example/').catch(() => 0)", "GET http://elsewhere.example/"),
    ],
)
def test_what_goes_wrong_fails_the_test(browser: Browser, tmp_path: Path, script: str, fault: str) -> None:
    """Console errors and warnings, exceptions, and requests that fail, as all do that leave this machine."""
    url = page_of(tmp_path, WHOLE.replace("</main>", f"<script>setTimeout(() => {{ {script} }})</script></main>"))
    with pytest.raises(AssertionError, match=fault), opening_tabs(browser) as open_tab:  # noqa: PT012
        tab = open_tab(url)
        tab.page.wait_for_timeout(1)
        while not tab.faults:
            tab.page.wait_for_timeout(20)


def test_a_fault_that_was_provoked_is_taken(open_tab: OpenTab, tmp_path: Path) -> None:
    """Then the test does not fail by it."""
    tab = open_tab(page_of(tmp_path, WHOLE))
    tab.page.evaluate("() => console.error('as it should')")
    assert [fault.partition(" (")[0] for fault in tab.take_faults()] == ["error: as it should"]


def test_what_keeps_people_out_is_a_violation(open_tab: OpenTab, tmp_path: Path) -> None:
    """A picture without words and letters that cannot be told from their ground."""
    faint = (
        '<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw="><p style="color:#eee;background:#fff">faint</p></main>'
    )
    tab = open_tab(page_of(tmp_path, WHOLE.replace("</main>", faint)))
    assert {violation.partition(":")[0] for violation in tab.violations()} == {"image-alt", "color-contrast"}


def test_a_page_wider_than_its_window_overflows(open_tab: OpenTab, tmp_path: Path) -> None:
    """By so many pixels."""
    wide = WHOLE.replace("</main>", '<div style="width:500px;height:1px"></div></main>')
    tab = open_tab(page_of(tmp_path, wide), viewport={"width": 390, "height": 844})
    assert tab.overflow() > 100
