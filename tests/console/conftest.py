"""The console over a home that has seen some production, and a browser's half of a conversation with it."""

from __future__ import annotations

import functools
import re
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from tests.cli.logged import Logged

from fairlead.app.console.views import open_views
from fairlead.config import Settings
from fairlead.console.application import create_application
from fairlead.console.session import Sessions
from fairlead.console.traffic import History
from fairlead.console.users import Users

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it works with httpx, and would have another
    from starlette.testclient import TestClient

PASSWORD = "four random words here"


@dataclass
class Visitor:
    """One browser, which sends what browsers send.

    Attributes:
        time_s: the console's monotonic clock; a test moves it.
        rest: the URL of the REST port, where nothing answers unless a test says otherwise.
    """

    root: Path
    history: History = field(default_factory=History)
    time_s: float = 1000.0
    rest: str = "http://127.0.0.1:9"

    def __post_init__(self) -> None:
        settings = Settings.read({}, home=str(self.root / "home"), store=str(self.root / "store"))
        self.users = Users(settings.console_path)
        self.sessions = Sessions(self.users, clock=lambda: self.time_s)
        application = create_application(open_views(settings, self.history, rest=self.rest), self.users, self.sessions)
        self.client = TestClient(application, base_url="http://console", follow_redirects=False)

    def get(self, path: str, **headers: str) -> httpx.Response:
        """A page."""
        answer: httpx.Response = self.client.get(f"/console{path}", headers=headers)
        return answer

    def post(self, path: str, fields: dict[str, str], **headers: str) -> httpx.Response:
        """A form as it is, from this origin unless the headers say otherwise."""
        sent = {"sec-fetch-site": "same-origin", **headers}
        answer: httpx.Response = self.client.post(f"/console{path}", data=fields, headers=sent)
        return answer

    def sign_in(self, name: str = "ann", password: str = PASSWORD) -> httpx.Response:
        """With the password that the fixture sets."""
        return self.post("/login", {"name": name, "password": password})

    @property
    def token(self) -> str:
        """Of the forms on the first page."""
        found = re.search(r'name="csrf" content="([^"]+)"', self.get("/").text)
        assert found
        return found[1]

    def submit(self, path: str, **fields: str) -> httpx.Response:
        """A form as the page has it."""
        return self.post(path, {"csrf": self.token, **fields})


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Logged:
    """A home with a stable version."""
    live = Logged.begin(tmp_path, monkeypatch)
    live.store.promote(live.publish().manifest.id, why="first")
    return live


@functools.cache
def _users() -> bytes:
    """A list of users with ann in it: a password takes a tenth of a second to hash."""
    with tempfile.TemporaryDirectory() as name:
        Users(Path(name)).set_password("ann", PASSWORD)
        return (Path(name) / "users.json").read_bytes()


@pytest.fixture
def visitor(live: Logged) -> Iterator[Visitor]:
    """Somebody who is not signed in, and may sign in as ann."""
    visitor = Visitor(live.root)
    visitor.users.directory.mkdir()
    (visitor.users.directory / "users.json").write_bytes(_users())
    with visitor.client:
        yield visitor


@pytest.fixture
def ann(visitor: Visitor) -> Visitor:
    """Somebody who is."""
    visitor.client.cookies.set(
        "fairlead_session", visitor.sessions.begin("ann").id, domain="console.local", path="/console"
    )
    return visitor
