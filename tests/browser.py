"""A real browser: Debian's Chromium, driven by Playwright, that notes whatever goes wrong on a page."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Request, sync_playwright

__all__ = ["OpenTab", "Tab", "chromium", "opening_tabs"]

_PROGRAM = Path("/usr/bin/chromium")
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # a page has what it needs on this machine
)
_GRAVE = ("serious", "critical")


@dataclass(frozen=True, slots=True)
class Tab:
    """A page in a browser context of its own.

    Attributes:
        page: what a test drives.
        faults: errors in the console, exceptions and requests that failed, as they come. A test that provokes some
            takes them out; any that are left when it ends fail it.
    """

    page: Page
    faults: list[str] = field(default_factory=list)

    def take_faults(self) -> list[str]:
        """The faults so far, which are forgotten."""
        taken = self.faults.copy()
        self.faults.clear()
        return taken

    def violations(self) -> list[str]:
        """What axe finds that keeps people out of the page as it is now: the rule, and the elements that break it."""
        found: list[dict[str, Any]] = Axe().run(self.page).response["violations"]
        return [
            f"{one['id']}: {one['help']}: {[node['html'] for node in one['nodes']]}"
            for one in found
            if one["impact"] in _GRAVE
        ]

    def overflow(self) -> int:
        """By how many pixels the page is wider than its window."""
        return int(
            self.page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
        )


OpenTab = Callable[..., Tab]


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser for as long as the context lasts. Where there is none, the test is skipped, and in CI it fails.

    While it lasts an event loop counts as running in this thread, so that `asyncio.run` cannot be used.
    """
    if not _PROGRAM.exists():
        reason = "Chromium is not installed: tools/install_test_packages.sh"
        fail_or_skip: Callable[[str], None] = pytest.fail if os.environ.get("CI") else pytest.skip
        fail_or_skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_PROGRAM, args=[*_FLAGS])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opening_tabs(browser: Browser) -> Iterator[OpenTab]:
    """Gives a function that opens a tab; it takes what `Browser.new_context` takes.

    Raises:
        AssertionError: at the end, when a tab has faults that the test did not take.
    """
    tabs: list[Tab] = []

    def open_tab(url: str = "", **options: Any) -> Tab:
        page = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **options}).new_page()
        page.set_default_timeout(15_000)
        tab = Tab(page)
        page.on("console", lambda message: _note_console(tab, message))
        page.on("pageerror", lambda error: _note_error(tab, error))
        page.on("requestfailed", lambda request: _note_request(tab, request))
        tabs.append(tab)
        if url:
            page.goto(url)
        return tab

    try:
        yield open_tab
    finally:
        for tab in tabs:
            tab.page.context.close()
    faults = [fault for tab in tabs for fault in tab.faults]
    assert not faults, "\n".join(faults)


def _note_console(tab: Tab, message: ConsoleMessage) -> None:
    if message.type in ("error", "warning"):
        tab.faults.append(f"{message.type}: {message.text} ({message.location['url']})")


def _note_error(tab: Tab, error: Error) -> None:
    tab.faults.append(f"exception: {error}")


def _note_request(tab: Tab, request: Request) -> None:
    if request.failure == "net::ERR_ABORTED":  # the page was left while it asked
        return
    tab.faults.append(f"{request.method} {request.url}: {request.failure}")
