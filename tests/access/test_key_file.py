"""Keys in a file that only its owner reads."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fairlead.access.doorkeeper import Doorkeeper
from fairlead.access.environment import environment_keys
from fairlead.access.followed_keys import FollowedKeys
from fairlead.access.key_file import KeyFile
from fairlead.access.scope import Scope
from fairlead.app.access import open_doorkeeper
from fairlead.config import Settings
from fairlead.errors import Code, FairleadError

PREDICT = frozenset({Scope.PREDICT})


class Clock:
    """A time that stands still until it is set."""

    def __init__(self) -> None:
        self.second = 1_800_000_000.0

    def __call__(self) -> float:
        return self.second


@pytest.fixture
def clock() -> Clock:
    """What all sides of a test take for the time."""
    return Clock()


@pytest.fixture
def file(tmp_path: Path, clock: Clock) -> KeyFile:
    """A file of keys that is not there yet."""
    return KeyFile(tmp_path / "home" / "keys.json", now=clock)


def keeper(file: KeyFile, clock: Clock) -> Doorkeeper:
    """A doorkeeper who follows the file."""
    return Doorkeeper([FollowedKeys(file, clock=clock)], clock=clock, now=clock)


def code(keeper: Doorkeeper, credential: str, scope: Scope = Scope.PREDICT) -> Code | None:
    """What is said to the credential; None when it is let in."""
    try:
        keeper.admit(credential.encode(), scope)
    except FairleadError as error:
        return error.code
    return None


def test_the_file_tells_no_key_and_is_its_owners_alone(file: KeyFile) -> None:
    """It has a digest in place of the secret, and mode 0600."""
    _, text = file.create("shop", PREDICT, lives_s=None)

    assert file.path.stat().st_mode & 0o777 == 0o600
    assert text.rpartition("_")[2] not in file.path.read_text()


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620])
def test_a_file_that_others_may_use_is_refused(file: KeyFile, mode: int) -> None:
    """The sentence has the path and the mode, and the hint mends it."""
    file.create("shop", PREDICT, lives_s=None)
    file.path.chmod(mode)

    with pytest.raises(FairleadError) as refused:
        file.read()

    assert refused.value.code is Code.FAILED_PRECONDITION
    assert str(file.path) in refused.value.message
    assert f"{mode:04o}" in refused.value.message
    assert refused.value.hint == f"chmod 600 {file.path}"


@pytest.mark.parametrize(
    ("field", "value"), [("sha256", "00"), ("revoked", "no"), ("expires", "soon"), ("scopes", ["root"]), ("scopes", [])]
)
def test_a_file_that_was_tampered_with_is_refused(file: KeyFile, field: str, value: object) -> None:
    """No half of a key is guessed at."""
    key, _ = file.create("shop", PREDICT, lives_s=None)
    body = json.loads(file.path.read_text())
    body["keys"][key.id][field] = value
    file.path.write_text(json.dumps(body))

    with pytest.raises(FairleadError):
        file.read()


def test_a_key_opens_what_its_scopes_say(file: KeyFile, clock: Clock) -> None:
    """Another scope is denied; admin implies all; a key that is none is told the same as no key."""
    _, narrow = file.create("narrow", PREDICT, lives_s=None)
    _, admin = file.create("admin", frozenset({Scope.ADMIN}), lives_s=None)
    door = keeper(file, clock)

    assert [code(door, narrow, scope) for scope in (Scope.PREDICT, Scope.ADMIN)] == [None, Code.PERMISSION_DENIED]
    assert [code(door, admin, scope) for scope in Scope] == [None] * len(Scope)
    last = "A" if narrow[-1] != "A" else "B"
    for wrong in ("", "x", "fl_", narrow[:-1], narrow[:-1] + last, f"{narrow}x", "\u00ff" * 9000):
        with pytest.raises(FairleadError, match="This needs a credential that is good") as refused:
            door.admit(wrong.encode("latin-1"), Scope.PREDICT)
        assert refused.value.code is Code.UNAUTHENTICATED


def test_a_key_expires_to_the_second(file: KeyFile, clock: Clock) -> None:
    """Also where it was let in a moment before."""
    _, text = file.create("shop", PREDICT, lives_s=10)
    door = keeper(file, clock)
    clock.second += 9.9
    assert code(door, text) is None

    clock.second += 0.1
    assert code(door, text) is Code.UNAUTHENTICATED


def test_keys_made_and_revoked_act_within_a_second(file: KeyFile, clock: Clock) -> None:
    """Without a restart."""
    key, text = file.create("shop", PREDICT, lives_s=None)
    door = keeper(file, clock)
    assert code(door, text) is None
    _, later = file.create("later", PREDICT, lives_s=None)
    file.revoke(key.id)

    clock.second += 0.9

    assert [code(door, text), code(door, later)] == [Code.UNAUTHENTICATED, None]


def test_a_file_that_breaks_keeps_the_good_keys(file: KeyFile, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """The log says so."""
    _, text = file.create("shop", PREDICT, lives_s=None)
    door = keeper(file, clock)
    file.path.write_text("{")
    clock.second += 1
    assert code(door, text) is None
    assert "the keys stay as they were" in caplog.text
    file.path.unlink()
    clock.second += 1
    assert code(door, text) is None
    assert "is gone" in caplog.text


def test_a_file_that_cannot_be_seen_opens_nothing(tmp_path: Path, clock: Clock) -> None:
    """A link that leads nowhere, or a home that is a file: neither is the same as no keys."""
    (tmp_path / "keys.json").symlink_to(tmp_path / "not-mounted")
    door = open_doorkeeper(Settings.read({}, home=str(tmp_path)), "", {})
    assert door is not None
    assert code(door, "x") is Code.UNAUTHENTICATED
    (tmp_path / "home").write_text("")
    with pytest.raises(FairleadError, match="no file of keys"):
        open_doorkeeper(Settings.read({}, home=str(tmp_path / "home")), "", {})


def test_a_rotated_key_is_good_for_its_grace(file: KeyFile, clock: Clock) -> None:
    """The new one has its name, scopes and length of life."""
    old, text = file.create("shop", PREDICT, lives_s=1000)
    clock.second += 100
    new, fresh = file.rotate(old.id, grace_s=60)
    assert (new.name, new.scopes, new.expires) == (old.name, old.scopes, clock.second + 1000)
    door = keeper(file, clock)
    assert [code(door, text), code(door, fresh)] == [None, None]

    clock.second += 60

    assert [code(door, text), code(door, fresh)] == [Code.UNAUTHENTICATED, None]
    with pytest.raises(FairleadError, match="is expired"):
        file.rotate(old.id, grace_s=60)
    with pytest.raises(FairleadError, match="the id of no key"):
        file.revoke("nobody")


def test_keys_made_at_once_are_all_kept(tmp_path: Path) -> None:
    """Several processes write one after the other."""
    path = tmp_path / "keys.json"
    program = (
        "import sys; from pathlib import Path; from fairlead.access.key_file import KeyFile;"
        "from fairlead.access.scope import Scope; file = KeyFile(Path(sys.argv[1]));"
        "[file.create(f'n{n}', frozenset({Scope.PREDICT}), lives_s=None) for n in range(10)]"
    )
    running = [subprocess.Popen([sys.executable, "-c", program, str(path)]) for _ in range(3)]

    assert [process.wait(30) for process in running] == [0, 0, 0]
    assert len(KeyFile(path).read()) == 30


def test_the_environments_key_predicts_and_gives_feedback(tmp_path: Path) -> None:
    """It comes from a variable or a file; one that could be guessed is refused without being shown."""
    secret = "e" * 32
    (tmp_path / "secret").write_text(f"{secret}\n")
    for environ in ({"API_KEY": secret}, {"API_KEY_FILE": str(tmp_path / "secret")}):
        door = Doorkeeper(environment_keys(environ))
        assert [code(door, secret, scope) for scope in (Scope.PREDICT, Scope.FEEDBACK, Scope.ADMIN)] == [
            None,
            None,
            Code.PERMISSION_DENIED,
        ]
    assert environment_keys({}) == []
    with pytest.raises(FairleadError, match="no good") as refused:
        environment_keys({"API_KEY": "hunter2"})
    assert "hunter2" not in str(refused.value)
    with pytest.raises(FairleadError, match="cannot be read"):
        environment_keys({"API_KEY_FILE": str(tmp_path / "none")})


def test_the_cache_of_good_credentials_is_bounded(file: KeyFile, clock: Clock) -> None:
    """Wrong ones take no room in it at all."""
    _, text = file.create("shop", PREDICT, lives_s=None)
    door = keeper(file, clock)
    for number in range(100):
        assert code(door, f"{text}{number}") is Code.UNAUTHENTICATED
    assert code(door, text) is None

    assert len(door._remembered) == 1


def test_a_repeated_credential_costs_next_to_nothing(tmp_path: Path) -> None:
    """At most a few microseconds, on any machine that is not standing still."""
    file = KeyFile(tmp_path / "keys.json")
    _, text = file.create("shop", PREDICT, lives_s=None)
    door, credential = Doorkeeper([FollowedKeys(file)]), text.encode()
    began = time.thread_time()
    for _ in range(20_000):
        door.admit(credential, Scope.PREDICT)

    assert (time.thread_time() - began) / 20_000 < 20e-6
