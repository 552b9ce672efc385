"""The Ray cluster that a command works on, and how a version of the store gets to its nodes."""

from __future__ import annotations

import logging
import os
import re
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairlead.errors import Code, FairleadError
from fairlead.servable.identity import ServableId
from fairlead.store.store import MANIFEST_FILE, Store

__all__ = ["CLIENT", "LOCAL", "Package", "connected", "parse_engine"]

LOCAL = "local"
CLIENT = "ray://"
_CONNECT_S = 5.0
_ENGINE = re.compile(r"local|ray|ray://[^/\s:]+:\d+")


def parse_engine(text: str) -> str:
    """What an `--engine` flag says; `ray` is the Ray Client server that RAY_ADDRESS names, if it names one.

    Raises:
        ValueError: when it names none.
    """
    if not _ENGINE.fullmatch(text):
        raise ValueError(f"{text!r} is neither local, ray nor ray://HOST:PORT")
    named = os.environ.get("RAY_ADDRESS", "")
    return named if text == "ray" and named.startswith(CLIENT) else text


@contextmanager
def connected(engine: str) -> Iterator[Any]:
    """The module `ray`, connected to a cluster for as long as this is held.

    Args:
        engine: `ray` for the cluster at RAY_ADDRESS, else that of this machine; `ray://HOST:PORT` for the one whose
            Ray Client server is there.

    Raises:
        FairleadError: FAILED_PRECONDITION without the extra, UNAVAILABLE when there is no such cluster.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # before the import: nothing is told to Ray's makers
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # likewise: it warns of what is not so
    try:
        import ray  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise FairleadError(
            Code.FAILED_PRECONDITION,
            f"--engine {engine} needs {error.name}, which is not installed",
            hint="pip install 'fairlead[ray]'",
        ) from error
    if ray.is_initialized():  # in a task of a cluster
        yield ray
        return
    address = engine if engine.startswith(CLIENT) else os.environ.get("RAY_ADDRESS", "auto")
    try:
        _check(address)
        ray.init(address, logging_level=logging.ERROR, log_to_driver=False)
    except (OSError, RuntimeError) as error:
        where = "on this machine" if address == "auto" else f"at {address}"
        raise FairleadError(
            Code.UNAVAILABLE,
            f"there is no Ray cluster {where}: {str(error).strip().splitlines()[0]}",
            hint="ray start --head, or name one: RAY_ADDRESS=HOST:PORT or --engine ray://HOST:PORT",
        ) from error
    with redirect_stdout(sys.stderr):  # on which Ray says what becomes of its nodes
        try:
            yield ray
        finally:
            ray.shutdown()


def _check(address: str) -> None:
    """Raise an OSError when nobody listens there: Ray would find out after minutes."""
    host, _, port = address.removeprefix(CLIENT).rpartition(":")
    if port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S).close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A version's files, to be sent to where the store is not.

    Attributes:
        id: whose.
        files: by name, the manifest among them.
    """

    id: ServableId
    files: dict[str, bytes]

    @classmethod
    def of(cls, store: Store, id_: ServableId) -> Package:
        """Read a version whose every byte was checked."""
        version = store.open(id_)
        names = [*version.manifest.files, MANIFEST_FILE]
        return cls(id=id_, files={name: (version.directory / name).read_bytes() for name in names})

    @contextmanager
    def unpacked(self) -> Iterator[Path]:
        """The root of a store with this version alone, for the while."""
        with tempfile.TemporaryDirectory(prefix="fairlead-") as name:
            directory = Path(name) / self.id.model / str(self.id.version)
            directory.mkdir(parents=True)
            for file, content in self.files.items():
                (directory / file).write_bytes(content)
            yield Path(name)
