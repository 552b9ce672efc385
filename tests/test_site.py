"""The documentation as a site: whole, with a place for every page, and in need of no other host."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .browser import OpenTab
from .web_server import publishing

ROOT = Path(__file__).parents[1]
_FETCHED = re.compile(
    r"<(?:script|link|img|iframe|source|object)\b[^>]*?(?:src|href|data)=\"?(https?:)?//", re.IGNORECASE
)


def built(docs: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """What the strict build said of the pages in `docs`, whose `mkdocs.yml` lies beside them."""
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)],
        cwd=docs.parent,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make docs` builds it."""
    folder = tmp_path_factory.mktemp("site")
    done = built(ROOT / "docs", folder)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Where a web server has the site."""
    with publishing(site) as address:
        yield address


def test_every_page_becomes_one_of_the_site(site: Path) -> None:
    """The strict build says nothing against it."""
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}

    assert pages <= {path.relative_to(site) for path in site.rglob("*.html")}


@pytest.mark.parametrize("text", ["[gone](nowhere.md)", "[gone](why.md#nowhere)", "in no navigation"])
def test_a_page_that_leads_nowhere_or_has_no_place_fails_the_build(tmp_path: Path, text: str) -> None:
    """A new page is put into `mkdocs.yml`, and its links are seen to."""
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    page = tmp_path / "docs" / ("new.md" if text == "in no navigation" else "index.md")
    page.write_text(text)

    done = built(tmp_path / "docs", tmp_path / "site")

    assert done.returncode == 1
    assert "WARNING" in done.stderr


def test_no_page_fetches_anything_from_another_host(site: Path) -> None:
    """No script, style, font or picture: what is linked to is only opened by whoever clicks."""
    for page in site.rglob("*.html"):
        assert not _FETCHED.search(page.read_text()), page
    for style in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(https?:)?//", style.read_text()), style


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_the_pages_are_in_order_in_a_browser(address: str, open_tab: OpenTab, scheme: str, width: int) -> None:
    """In both colour schemes, wide and narrow: no fault, nothing that keeps people out, nothing out of the window."""
    tab = open_tab(color_scheme=scheme, viewport={"width": width, "height": 900})
    for page in ("index.html", "publish.html", "settings.html"):
        tab.page.goto(f"{address}/{page}")
        assert tab.page.locator("h1").first.is_visible()
        assert tab.violations() == [], page
        assert tab.overflow() == 0, page


def test_words_are_found_without_any_host(address: str, open_tab: OpenTab) -> None:
    """The search has its index in the site."""
    tab = open_tab(f"{address}/index.html")
    tab.page.locator("input.md-search__input").click()
    tab.page.keyboard.type("quorum")

    tab.page.locator(".md-search-result__link").first.wait_for()
