"""Which ports open, and to whom, by the address that they have and the keys that are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from fairlead.access.doorkeeper import Doorkeeper
from fairlead.access.scope import Scope
from fairlead.app.access import open_doorkeeper, open_management_doorkeeper
from fairlead.config import Settings
from fairlead.errors import Code, FairleadError

KEY, SCRAPER = "k" * 16, "m" * 16
LOOPBACK = ["127.0.0.1", "127.1.2.3", "::1", "localhost"]
REACHED = ["0.0.0.0", "::", "", "10.0.0.7", "192.168.1.5", "fairlead.example", "127.0.0.1.example", "::ffff:10.0.0.7"]
OPENERS = {"host": open_doorkeeper, "management_host": open_management_doorkeeper}
Open = Callable[..., Doorkeeper | None]


def settings(home: Path, **flags: str) -> Settings:
    """Settings with a home of their own."""
    return Settings.read({}, home=str(home), **flags)


def opened(door: Doorkeeper | None, credential: str = "") -> set[Scope]:
    """What a credential, or none, is good for."""
    return {scope for scope in Scope if refusal(door, credential, scope) is None}


def refusal(door: Doorkeeper | None, credential: str, scope: Scope) -> Code | None:
    """The code that a request gets; None when it is let in."""
    try:
        if door is not None:
            door.admit(credential.encode(), scope)
    except FairleadError as error:
        return error.code
    return None


@pytest.mark.parametrize("field", OPENERS)
@pytest.mark.parametrize("host", LOOPBACK)
def test_what_only_this_machine_reaches_is_open_until_there_is_a_key(tmp_path: Path, field: str, host: str) -> None:
    """Of any kind; from then on it is asked for."""
    there = settings(tmp_path, **{field: host})
    assert OPENERS[field](there, "", {}) is None
    assert opened(OPENERS[field](there, "", {"API_KEY": KEY})) == set()


@pytest.mark.parametrize("field", OPENERS)
@pytest.mark.parametrize("host", REACHED)
def test_what_others_reach_is_not_opened_without_a_key(tmp_path: Path, field: str, host: str) -> None:
    """The refusal is one for whoever started it (status 2), names the address, and says what to do."""
    there = settings(tmp_path, **{field: host})
    with pytest.raises(FairleadError) as refused:
        OPENERS[field](there, "own", {})
    assert refused.value.code is Code.INVALID_ARGUMENT
    assert (host or "::") in refused.value.message
    assert "fairlead keys create" in refused.value.hint
    for environ in ({"API_KEY": KEY}, {"METRICS_KEY": SCRAPER}):
        assert opened(OPENERS[field](there, "own", environ)) == set()


@pytest.mark.parametrize("said", ["predict", "feedback", "metrics", "predict,feedback,metrics"])
def test_what_is_open_by_word_is_open_to_all_and_nothing_else(tmp_path: Path, said: str) -> None:
    """Whatever they show; and a key is good for what it was good for."""
    there = settings(tmp_path, host="0.0.0.0", management_host="0.0.0.0", open=said)
    environ = {"API_KEY": KEY, "METRICS_KEY": SCRAPER}
    scopes = {Scope(word) for word in said.split(",")}
    for opener in OPENERS.values():
        door = opener(there, "own", environ)
        assert opened(door) == opened(door, "nonsense") == scopes
        assert opened(door, KEY) == scopes | {Scope.PREDICT, Scope.FEEDBACK}
        assert opened(door, SCRAPER) == scopes | {Scope.METRICS}
        assert opened(door, "own") == scopes | {Scope.PREDICT, Scope.FEEDBACK, Scope.METRICS}
        assert refusal(door, "", Scope.ADMIN) is Code.UNAUTHENTICATED
        assert refusal(door, KEY, Scope.ADMIN) is Code.PERMISSION_DENIED


def test_open_prediction_opens_no_management(tmp_path: Path) -> None:
    """Nor does open metrics: where others reach it, there has to be a key."""
    there = settings(tmp_path, host="::", management_host="::", open="predict,feedback,metrics")
    assert opened(open_doorkeeper(there, "", {})) == {Scope.PREDICT, Scope.FEEDBACK, Scope.METRICS}
    with pytest.raises(FairleadError, match="management port is not opened at ::"):
        open_management_doorkeeper(there, "", {})


def test_open_metrics_alone_open_no_prediction(tmp_path: Path) -> None:
    """A server that nobody could ask does not start."""
    with pytest.raises(FairleadError, match="could predict"):
        open_doorkeeper(settings(tmp_path, host="::", open="metrics"), "", {})


@pytest.mark.parametrize("said", ["admin", "predict,admin", "true", "*"])
def test_nothing_opens_administration(tmp_path: Path, said: str) -> None:
    """There is no word for it."""
    with pytest.raises(FairleadError, match="must be some of predict, feedback, metrics"):
        settings(tmp_path, open=said)


def test_the_scrapers_key_comes_from_a_file_as_well(tmp_path: Path) -> None:
    """It reads metrics and does nothing else."""
    (tmp_path / "key").write_text(f"{SCRAPER}\n")
    environ: Mapping[str, str] = {"METRICS_KEY_FILE": str(tmp_path / "key")}
    assert opened(open_management_doorkeeper(settings(tmp_path), "", environ), SCRAPER) == {Scope.METRICS}
