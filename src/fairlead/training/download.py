"""Checksummed downloads: a file is there whole and right, or not at all."""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fairlead.errors import Code, FairleadError
from fairlead.training.extras import needs_extras

__all__ = ["fetch", "file_sha256"]

_CHUNK_BYTES = 1 << 16
_CONNECT_TIMEOUT_S = 5.0
_DEADLINE_S = 300.0
_MOST_UNPACKED = 2**28

Advance = Callable[[int], object]


def fetch(
    urls: Sequence[str],
    path: Path,
    *,
    sha256: str,
    say: Callable[[str], None],
    member: str = "",
    progress: bool = True,
    deadline_s: float = _DEADLINE_S,
) -> Path:
    """Make sure that `path` holds the file with this digest, from the first of `urls` that gives it.

    A file that is there with the right digest is kept and no connection is made; one with another digest is fetched
    again. The file appears by one rename, so a reader never sees a part of it.

    Args:
        urls: http or https mirrors, tried in this order.
        path: where the file belongs; its directory is made.
        sha256: the digest (hex) of the right file.
        say: gets one plain line a download.
        member: of the zip files that the mirrors give, the one that is wanted; empty where they give the file itself.
        progress: whether to draw a bar on a terminal.
        deadline_s: seconds after which all mirrors together are given up.

    Raises:
        FairleadError: UNAVAILABLE when no mirror answered with a whole file, DATA_LOSS when one gave a wrong file.
    """
    if path.is_file():
        if file_sha256(path) == sha256:
            return path
        say(f"{path.name} in the cache is damaged: fetching it again")
    path.parent.mkdir(parents=True, exist_ok=True)
    give_up_at = time.monotonic() + deadline_s
    failures: list[FairleadError] = []
    for url in urls:
        try:
            _fetch_one(url, path, sha256, say, member=member, progress=progress, give_up_at=give_up_at)
        except FairleadError as error:
            failures.append(error)
        else:
            return path
    raise _summary(path.name, failures)


def file_sha256(path: Path) -> str:
    """The SHA-256 (hex) of the file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch_one(
    url: str, path: Path, sha256: str, say: Callable[[str], None], *, member: str, progress: bool, give_up_at: float
) -> None:
    with _temporary_beside(path) as partial:
        _receive(url, partial, say, progress=progress, give_up_at=give_up_at)
        if member:
            _unpack(url, partial, member)
        got = file_sha256(partial)
        if got != sha256:
            raise FairleadError(
                Code.DATA_LOSS, f"{url} gave a file with SHA-256 {got}; the right one has {sha256}: nothing was kept"
            )
        partial.replace(path)


def _unpack(url: str, partial: Path, member: str) -> None:
    """Put the member of the zip file in the place of the zip file."""
    try:
        with zipfile.ZipFile(partial) as archive:
            if archive.getinfo(member).file_size > _MOST_UNPACKED:
                raise FairleadError(Code.DATA_LOSS, f"{member} in {url} has more than {_MOST_UNPACKED:,} bytes")
            data = archive.read(member)
    except (zipfile.BadZipFile, KeyError, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise FairleadError(Code.DATA_LOSS, f"{url} gave no zip file with {member!r} in it: {error}") from error
    partial.write_bytes(data)


@contextmanager
def _temporary_beside(path: Path) -> Iterator[Path]:
    """A path in the same directory, removed again unless it was renamed."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _receive(url: str, partial: Path, say: Callable[[str], None], *, progress: bool, give_up_at: float) -> None:
    try:
        with _open(url, give_up_at) as response, partial.open("wb") as file:
            expected = int(response.headers.get("Content-Length") or 0)
            with _meter(partial, url, expected, say, progress=progress) as advance:
                received = 0
                while chunk := _read(response, url, give_up_at):
                    file.write(chunk)
                    received += len(chunk)
                    advance(len(chunk))
    except urllib.error.HTTPError as error:
        error.close()  # the error is the response: it holds the connection
        raise FairleadError(Code.UNAVAILABLE, f"{url} cannot be fetched: {error}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:  # URLError and timeouts are OSErrors
        raise FairleadError(Code.UNAVAILABLE, f"{url} cannot be fetched: {error}") from error
    if received < expected:
        raise FairleadError(Code.UNAVAILABLE, f"{url} broke off after {received:,} of {expected:,} bytes")


def _open(url: str, give_up_at: float) -> Any:
    if not url.startswith(("http://", "https://")):
        raise FairleadError(Code.INVALID_ARGUMENT, f"{url!r} is not an http or https address")
    left_s = min(_CONNECT_TIMEOUT_S, give_up_at - time.monotonic())
    if left_s <= 0:
        raise FairleadError(Code.UNAVAILABLE, f"{url} was not tried: the time for this download is over")
    request = urllib.request.Request(url, headers={"User-Agent": "fairlead"})  # noqa: S310 - the scheme was checked
    return urllib.request.urlopen(request, timeout=left_s)  # noqa: S310 - the scheme was checked


def _read(response: Any, url: str, give_up_at: float) -> bytes:
    if time.monotonic() > give_up_at:
        raise FairleadError(Code.UNAVAILABLE, f"{url} was too slow: the time for this download is over")
    return bytes(response.read1(_CHUNK_BYTES))


@contextmanager
def _meter(partial: Path, url: str, expected: int, say: Callable[[str], None], *, progress: bool) -> Iterator[Advance]:
    """How to report received bytes: a bar on a terminal, one line elsewhere."""
    name = url.rsplit("/", 1)[-1] or partial.name
    if not (progress and sys.stderr.isatty()):
        say(f"fetching {name} ({expected:,} bytes)" if expected else f"fetching {name}")
        yield lambda _: None
        return
    with needs_extras("showing progress"):
        from tqdm import tqdm  # noqa: PLC0415 - part of the train extra
    columns, lines = shutil.get_terminal_size()  # never 0, as tqdm's own look at the terminal may be
    size = {"ncols": columns, "nrows": lines}
    with tqdm(total=expected or None, desc=name, unit="B", unit_scale=True, leave=False, **size) as bar:
        yield bar.update


def _summary(name: str, failures: Sequence[FairleadError]) -> FairleadError:
    """One error for all mirrors: a wrong file weighs more than an absent one."""
    code = Code.DATA_LOSS if any(error.code == Code.DATA_LOSS for error in failures) else Code.UNAVAILABLE
    reasons = "; ".join(error.message for error in failures) or "it has no address"
    return FairleadError(code, f"{name} could not be fetched: {reasons}")
