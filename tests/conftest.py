"""What tests of several rooms share."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import settings
from PIL import Image, ImageDraw
from playwright.sync_api import Browser
from tests.browser import OpenTab, chromium, opening_tabs

from fairlead.store.writable_store import WritableStore

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read once a process, by whichever test imports TensorFlow first
os.environ.setdefault("FAIRLEAD_CONSOLE", "off")  # a process more for each server: tests of the console ask for it
settings.register_profile("patient", parent=settings.default, deadline=None)  # a machine may stand still for a second
settings.load_profile("patient")


@pytest.fixture
def store(tmp_path: Path) -> WritableStore:
    """An empty model store with a clock that stands still."""
    return WritableStore(tmp_path / "store", now=lambda: datetime(2026, 1, 1, tzinfo=UTC), who="tester")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The directory of real data sets; absent, the test is skipped, and in CI it fails."""
    path = Path(os.environ.get("FAIRLEAD_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not path.is_dir():
        reason = f"the real data sets are not at {path}: name them in FAIRLEAD_TEST_DATA"
        fail_or_skip: Callable[[str], None] = pytest.fail if os.environ.get("CI") else pytest.skip
        fail_or_skip(reason)
    return path


@pytest.fixture(scope="session")
def mnist_store(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a digit model that `fairlead train` made of MNIST, in the quick profile."""
    home = tmp_path_factory.mktemp("mnist")
    command = [sys.executable, "-m", "fairlead.cli.main", "train", "digits", "--profile", "dev", "--home", str(home)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FAIRLEAD_", "MLFLOW_"))}
    done = subprocess.run(
        command,
        env={**kept, "FAIRLEAD_DATA_DIR": str(real_data)},
        capture_output=True,
        text=True,
        timeout=550,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "MNIST: 60,000 digits to train on and 10,000 held out, local idx files" in done.stderr
    return home / "store"


@pytest.fixture(scope="session")
def picture() -> bytes:
    """A PNG with a stroke on white."""
    image = Image.new("L", (60, 60), 255)
    ImageDraw.Draw(image).line((30, 10, 30, 50), fill=0, width=6)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for the tests of a module; those that need an event loop of their own stand in another one."""
    with chromium() as running:
        yield running


@pytest.fixture
def open_tab(browser: Browser) -> Iterator[OpenTab]:
    """Opens tabs; a fault on a page that the test did not take fails it."""
    with opening_tabs(browser) as opening:
        yield opening
