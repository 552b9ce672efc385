"""Users that are told apart and not found out."""

import multiprocessing
from pathlib import Path

from fairlead.telemetry.pseudonym import Pseudonyms, open_pseudonyms


def test_a_user_has_one_pseudonym_under_a_key() -> None:
    """Another under another key, which nobody can tell to be the same user's."""
    one, other = Pseudonyms(b"1" * 32), Pseudonyms(b"2" * 32)

    assert one("jo@example.org") == one("jo@example.org")
    assert one("jo@example.org") not in {one("jo@example.com"), other("jo@example.org")}
    assert one("\ud800")


def test_the_key_is_made_once_and_for_its_owner(tmp_path: Path) -> None:
    """All that open the same home have the same key, and nobody else reads it."""
    path = tmp_path / "home" / "user-ids.key"
    first, second = open_pseudonyms(path), open_pseudonyms(path)

    assert first("a") == second("a")
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(path.read_bytes()) == 32
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_processes_that_begin_together_have_one_key(tmp_path: Path) -> None:
    """Whichever of them makes it."""
    path = tmp_path / "user-ids.key"
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        found = pool.map(_pseudonym_of, [path] * 16, chunksize=1)

    assert len(set(found)) == 1


def _pseudonym_of(path: Path) -> str:
    return open_pseudonyms(path)("a")
