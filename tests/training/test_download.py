"""Checksummed downloads, against a server on this machine."""

from __future__ import annotations

import hashlib
import io
import itertools
import socket
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from fairlead.errors import Code, FairleadError
from fairlead.training.download import fetch, file_sha256

CONTENT = b"digits " * 30_000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def zipped(name: str) -> bytes:
    """A zip file with the right file as `name` in it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("readme", "read me")
        archive.writestr(name, CONTENT)
    return file.getvalue()


class Mirror(BaseHTTPRequestHandler):
    """Gives the right file at /right, zipped at /zip, another at /wrong, a part at /short, and nothing elsewhere."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        bodies = {"/right": CONTENT, "/wrong": b"a login page", "/short": CONTENT[:1000], "/zip": zipped("digits")}
        body = bodies.get(self.path)
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT) if self.path == "/short" else len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Say nothing."""


@pytest.fixture
def mirror() -> Iterator[str]:
    """The address of a running mirror."""
    Mirror.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Mirror) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Terminal(io.StringIO):
    """A text stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def failure(urls: list[str], path: Path, **settings: float) -> FairleadError:
    """The error that the download raises."""
    with pytest.raises(FairleadError) as caught:
        fetch(urls, path, sha256=DIGEST, say=lambda _: None, **settings)  # type: ignore[arg-type]  # a float or none
    return caught.value


def left_behind(path: Path) -> list[str]:
    """The names in the file's folder."""
    return sorted(found.name for found in path.parent.iterdir())


def test_right_file_appears_whole(mirror: str, tmp_path: Path) -> None:
    """A download ends with the file under its name, nothing beside it, and one line said."""
    said: list[str] = []
    path = fetch([f"{mirror}/right"], tmp_path / "new" / "digits.gz", sha256=DIGEST, say=said.append)

    assert path.read_bytes() == CONTENT
    assert left_behind(path) == ["digits.gz"]
    assert said == ["fetching right (210,000 bytes)"]


def test_cached_file_asks_nobody(mirror: str, tmp_path: Path) -> None:
    """A file that is there with the right digest needs no network."""
    path = tmp_path / "digits.gz"
    path.write_bytes(CONTENT)

    assert fetch([f"{mirror}/right"], path, sha256=DIGEST, say=lambda _: None) == path
    assert Mirror.asked == []


def test_damaged_cached_file_is_fetched_again(mirror: str, tmp_path: Path) -> None:
    """A cached file with another digest is replaced, and the user is told."""
    path = tmp_path / "digits.gz"
    said: list[str] = []
    path.write_bytes(CONTENT[:-1])
    fetch([f"{mirror}/right"], path, sha256=DIGEST, say=said.append)

    assert file_sha256(path) == DIGEST
    assert said[0] == "digits.gz in the cache is damaged: fetching it again"


def test_wrong_checksum_keeps_nothing(mirror: str, tmp_path: Path) -> None:
    """A file with another digest is DATA_LOSS, with both digests, and is not kept."""
    path = tmp_path / "digits.gz"

    error = failure([f"{mirror}/wrong"], path)

    assert error.code == Code.DATA_LOSS
    assert DIGEST in error.message
    assert hashlib.sha256(b"a login page").hexdigest() in error.message
    assert left_behind(path) == []


@pytest.mark.parametrize(("place", "reason"), [("short", "1,000 of 210,000 bytes"), ("absent", "404")])
def test_incomplete_answer_is_unavailable(place: str, reason: str, mirror: str, tmp_path: Path) -> None:
    """A body that breaks off and a missing file are UNAVAILABLE, with the reason, and nothing is kept."""
    path = tmp_path / "digits.gz"

    error = failure([f"{mirror}/{place}"], path)

    assert error.code == Code.UNAVAILABLE
    assert reason in error.message
    assert left_behind(path) == []


def test_unreachable_mirror_is_unavailable(tmp_path: Path) -> None:
    """A port on which nobody listens is UNAVAILABLE."""
    assert failure([f"http://127.0.0.1:{free_port()}/right"], tmp_path / "digits.gz").code == Code.UNAVAILABLE


def test_next_mirror_is_tried(mirror: str, tmp_path: Path) -> None:
    """Mirrors are asked in their order until one gives the right file."""
    urls = [f"{mirror}/{place}" for place in ("absent", "short", "wrong", "right", "never-asked")]
    fetch(urls, tmp_path / "digits.gz", sha256=DIGEST, say=lambda _: None)

    assert Mirror.asked == ["/absent", "/short", "/wrong", "/right"]


def test_wrong_file_weighs_more_than_an_absent_one(mirror: str, tmp_path: Path) -> None:
    """When one mirror is away and one gives a wrong file, the error is DATA_LOSS and names both."""
    error = failure([f"{mirror}/wrong", f"{mirror}/absent"], tmp_path / "digits.gz")

    assert error.code == Code.DATA_LOSS
    assert "404" in error.message


def test_terminal_gets_a_bar(mirror: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal a bar shows the name and the bytes and is gone at the end; nothing else is said."""
    terminal, said = Terminal(), list[str]()
    monkeypatch.setattr("sys.stderr", terminal)
    fetch([f"{mirror}/right"], tmp_path / "digits.gz", sha256=DIGEST, say=said.append)

    assert said == []
    assert "right:" in terminal.getvalue()
    assert "/210k" in terminal.getvalue()
    assert terminal.getvalue().endswith(" \r")


def test_slow_mirror_is_given_up(mirror: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mirror that is still sending at the deadline is left, and nothing is kept."""
    ticks = itertools.count()
    monkeypatch.setattr("fairlead.training.download.time.monotonic", lambda: float(next(ticks)))

    error = failure([f"{mirror}/right"], tmp_path / "digits.gz", deadline_s=2.0)

    assert "too slow" in error.message
    assert left_behind(tmp_path / "digits.gz") == []


def test_deadline_covers_all_mirrors(mirror: str, tmp_path: Path) -> None:
    """After the deadline no mirror is asked any more."""
    error = failure([f"{mirror}/right"], tmp_path / "digits.gz", deadline_s=0.0)

    assert error.code == Code.UNAVAILABLE
    assert Mirror.asked == []


def test_other_schemes_are_refused(tmp_path: Path) -> None:
    """A file: address is no download."""
    assert "is not an http or https address" in failure([f"file://{tmp_path}/x"], tmp_path / "y").message


def test_a_file_in_a_zip_file(mirror: str, tmp_path: Path) -> None:
    """The member that is wanted is what the digest is of, and all that is kept."""
    path = tmp_path / "data" / "digits"

    fetch([f"{mirror}/zip"], path, sha256=DIGEST, say=lambda _: None, member="digits")

    assert path.read_bytes() == CONTENT
    assert left_behind(path) == ["digits"]


@pytest.mark.parametrize(("where", "member"), [("zip", "letters"), ("wrong", "digits")])
def test_a_zip_file_that_is_none(mirror: str, tmp_path: Path, where: str, member: str) -> None:
    """A zip file without the member, and a page that is no zip file, are refused, and nothing is kept."""
    path = tmp_path / "digits"

    with pytest.raises(FairleadError, match=f"no zip file with '{member}'") as caught:
        fetch([f"{mirror}/{where}"], path, sha256=DIGEST, say=lambda _: None, member=member)

    assert (caught.value.code, left_behind(path)) == (Code.DATA_LOSS, [])
