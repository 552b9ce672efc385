"""Who gets in, for how long, and what is let through."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from fairlead.console.session import Sessions, Tries
from fairlead.console.users import FIRST_PASSWORD, Users
from fairlead.errors import FairleadError

from .conftest import PASSWORD, Visitor

HOUR_S = 3600.0


def test_the_first_user_gets_a_password_that_nobody_chose(tmp_path: Path) -> None:
    """It is in a file that only its owner reads; a second start changes nothing, and a chosen password removes it."""
    users = Users(tmp_path / "console")
    users.begin("ann")
    first = tmp_path / "console" / FIRST_PASSWORD
    password = first.read_text().strip()
    users.begin("bob")

    assert users.names() == ("ann",)
    assert len(password) >= 24
    assert users.check("ann", password)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (first, first.with_name("users.json"))] == [0o600, 0o600]
    assert password not in first.with_name("users.json").read_text()
    users.set_password("ann", PASSWORD)
    assert not first.exists()
    assert (users.check("ann", password), users.check("ann", PASSWORD)) == (False, True)


@pytest.mark.parametrize(
    ("name", "password"), [("", PASSWORD), ("a\nb", PASSWORD), ("a" * 65, PASSWORD), ("a", "short")]
)
def test_a_name_or_password_that_cannot_be_is_refused(tmp_path: Path, name: str, password: str) -> None:
    """Before anything is written."""
    with pytest.raises(FairleadError):
        Users(tmp_path / "console").set_password(name, password)
    assert not (tmp_path / "console").exists()


def test_a_damaged_list_of_users_lets_nobody_in(tmp_path: Path) -> None:
    """And says which file it is."""
    users = Users(tmp_path)
    users.set_password("ann", PASSWORD)
    (tmp_path / "users.json").write_text("{")
    with pytest.raises(FairleadError, match=r"users\.json cannot be read"):
        users.check("ann", PASSWORD)


def test_nothing_is_shown_to_whoever_is_not_signed_in(visitor: Visitor) -> None:
    """A page leads to the login and back to itself; a program is told."""
    assert visitor.get("/?a=1").headers["location"] == "/console/login?next=%2Fconsole%2F%3Fa%3D1"
    answer = visitor.get("/api/")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "UNAUTHENTICATED")
    assert visitor.get("/", **{"x-fairlead-live": "1"}).status_code == 401
    assert visitor.get("/login").status_code == 200


def test_a_login_leads_back(visitor: Visitor) -> None:
    """To a page of the console, and nowhere else."""
    for where, then in (
        ("/console/journal?model=a", "/console/journal?model=a"),
        ("https://elsewhere.example/", "/console/"),
        ("//elsewhere.example/", "/console/"),
        ("/console/../x\r\nset-cookie: a=b", "/console/"),
        ("", "/console/"),
    ):
        answer = visitor.post("/login", {"name": "ann", "password": PASSWORD, "next": where})
        assert (answer.status_code, answer.headers["location"]) == (303, then)
    cookie = answer.headers["set-cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=strict", "Path=/console"))
    assert visitor.get("/").status_code == 200


def test_a_login_begins_a_new_session(ann: Visitor) -> None:
    """What a browser had before, somebody may have given it."""
    before = ann.client.cookies["fairlead_session"]
    ann.sign_in()
    assert ann.client.cookies["fairlead_session"] != before
    assert ann.sessions.find(before) is None


def test_whoever_signs_out_is_out(ann: Visitor) -> None:
    """Also where the cookie is kept."""
    cookie = ann.client.cookies["fairlead_session"]
    assert ann.submit("/logout").headers["location"] == "/console/login"
    ann.client.cookies.set("fairlead_session", cookie)
    assert ann.get("/").status_code == 303


def test_a_session_ends_when_nobody_uses_it(ann: Visitor) -> None:
    """After 12 hours; what a page asks by itself is no use, and 7 days are the most."""
    ann.time_s += 11 * HOUR_S
    assert ann.get("/", **{"x-fairlead-live": "1"}).status_code == 200
    ann.time_s += 2 * HOUR_S
    assert ann.get("/").headers["location"].endswith("&expired=1")
    ann.sign_in()
    for _ in range(16):
        assert ann.get("/").status_code == 200
        ann.time_s += 10 * HOUR_S
    ann.time_s += 10 * HOUR_S
    assert ann.get("/").status_code == 303


def test_a_new_password_ends_what_was_begun_with_the_old_one(ann: Visitor) -> None:
    """So does taking the user away."""
    Users(ann.users.directory).set_password("ann", "another four words")
    assert ann.get("/").status_code == 303
    ann.sign_in(password="another four words")
    assert ann.get("/").status_code == 200
    Users(ann.users.directory).remove("ann")
    assert ann.get("/").status_code == 303


def test_guessing_becomes_slow(visitor: Visitor) -> None:
    """After five wrong passwords each further try has to wait, whoever it is and also with the right one."""
    for name in ("ann", "nobody"):
        answers = [visitor.sign_in(name, "a wrong password").status_code for _ in range(5)]
        assert answers == [401] * 5
        assert visitor.sign_in(name).status_code == 429


def test_the_wait_doubles_and_ends() -> None:
    """Up to five minutes; a right password ends it."""
    now = [0.0]
    tries = Tries(clock=lambda: now[0])
    waits = []
    for _ in range(15):
        tries.fail("ann")
        waits.append(tries.wait_s("ann"))
        now[0] += waits[-1]
    assert waits == [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert tries.wait_s("ann") == 0
    tries.succeed("ann")
    tries.fail("ann")
    assert tries.wait_s("ann") == 0


def test_sessions_do_not_pile_up(tmp_path: Path) -> None:
    """Of more than a thousand the one that was not used for longest goes."""
    users = Users(tmp_path)
    users.set_password("ann", PASSWORD)
    now = [0.0]
    sessions = Sessions(users, clock=lambda: now[0])
    first, second = sessions.begin("ann"), sessions.begin("ann")
    now[0] = 1.0
    sessions.find(first.id)
    for _ in range(999):
        sessions.begin("ann")
    assert (sessions.find(first.id), sessions.find(second.id)) == (first, None)


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://elsewhere.example"},
        {"origin": "null"},
    ],
)
def test_a_form_of_another_site_changes_nothing(ann: Visitor, headers: dict[str, str]) -> None:
    """Even with the token; the login takes none either."""
    token = ann.token
    for path in ("/logout", "/login"):
        answer = ann.client.post(f"/console{path}", data={"csrf": token, "name": "ann"}, headers=headers)
        assert (answer.status_code, "another site" in answer.text) == (403, True)
    assert ann.get("/").status_code == 200


@pytest.mark.parametrize("token", ["", "wrong", "ümlaut"])
def test_a_form_without_the_sessions_token_changes_nothing(ann: Visitor, token: str) -> None:
    """A browser that says nothing of where it comes from is not enough."""
    answer = ann.client.post("/console/logout", data={"csrf": token})
    assert (answer.status_code, "token" in answer.text) == (403, True)
    assert ann.client.post("/console/logout", content=b"{}").status_code == 403
    assert ann.get("/").status_code == 200


def test_a_script_brings_the_token_in_a_header(ann: Visitor) -> None:
    """With a body of whatever kind."""
    answer = ann.client.post(
        "/console/logout",
        content=json.dumps({}),
        headers={"x-csrf-token": ann.token, "content-type": "application/json"},
    )
    assert answer.status_code == 303


def test_every_answer_keeps_itself_to_this_origin(ann: Visitor) -> None:
    """No script, style or frame from elsewhere or from within the text, and nothing in a cache."""
    for path in ("/", "/login", "/api/", "/nowhere", "/static/console.js"):
        headers = ann.get(path).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'self';")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert (headers["x-frame-options"], headers["x-content-type-options"]) == ("DENY", "nosniff")
        assert headers["cache-control"] == ("no-cache" if "static" in path else "no-store")
    assert ann.get("/static/../users.py").status_code == 404


def test_the_colours_are_chosen_and_kept(ann: Visitor) -> None:
    """By the system unless somebody says so."""
    assert 'data-theme="auto"' in ann.get("/").text
    assert ann.submit("/theme", theme="dark", next="/console/").headers["location"] == "/console/"
    assert 'data-theme="dark"' in ann.get("/").text
    ann.client.cookies.set("fairlead_theme", '"><script>', path="/console")
    assert "<script>" not in ann.get("/").text
