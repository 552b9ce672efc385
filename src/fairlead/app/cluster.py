"""The Ray cluster that a command works on, and how a version of the store gets to its nodes."""

from __future__ import annotations

import logging
import os
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairlead.errors import Code, FairleadError
from fairlead.servable.identity import ServableId
from fairlead.store.store import MANIFEST_FILE, Store

__all__ = ["CLIENT", "Package", "connected", "run_task"]

CLIENT = "ray://"

_CONNECT_S = 5.0
_POLL_S = 0.5


@contextmanager
def connected(engine: str) -> Iterator[Any]:
    """The module `ray`, connected to a cluster for as long as this is held.

    Args:
        engine: `ray` for the cluster at RAY_ADDRESS, else that of this machine; `ray://HOST:PORT` for the one whose
            Ray Client server is there.

    Raises:
        FairleadError: FAILED_PRECONDITION without the extra, UNAVAILABLE when there is no such cluster or it fails.
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
    address = os.environ.get("RAY_ADDRESS", "auto") if engine == "ray" else engine
    try:
        _check(address)
        _begin(ray, address)
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
        except ray.exceptions.RayError as error:
            said = str(error).strip().splitlines()
            raise FairleadError(
                Code.INTERNAL if isinstance(error, ray.exceptions.RayTaskError) else Code.UNAVAILABLE,
                f"the work on the Ray cluster failed: {said[-1] if said else type(error).__name__}",
                hint="ray status",
            ) from error
        finally:
            ray.shutdown()


def _begin(ray: Any, address: str) -> None:
    """Connect; once more when a Ray Client server that is there could not begin, as it cannot on a busy machine."""
    try:
        ray.init(address, logging_level=logging.ERROR, log_to_driver=False)
    except ConnectionError as error:
        if "Initialization failure" not in str(error):
            raise
        ray.init(address, logging_level=logging.ERROR, log_to_driver=False)


def _check(address: str) -> None:
    """Raise an OSError when nobody listens there: Ray would find out after minutes."""
    host, _, port = address.removeprefix(CLIENT).rpartition(":")
    if port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S).close()


def run_task(
    ray: Any,
    function: Callable[..., Any],
    *arguments: Any,
    on_word: Callable[[Any], None],
    cpus: float,
    retries: int,
    is_over: Callable[[], bool] = lambda: False,
) -> Any:
    """What a function returns that runs as a task of the cluster, with one argument more by which it tells how it goes.

    Args:
        ray: see `connected`.
        function: may raise FairleadErrors; those come here as they are.
        arguments: its first ones.
        on_word: hears what it tells. What it told while the node died that heard of it is lost.
        cpus: how many it has for itself.
        retries: how often it is begun anew when its node dies.
        is_over: whether nobody waits for it any more.

    Raises:
        FairleadError: what the function raised; CANCELLED once nobody waits.
    """
    from ray.util.queue import Empty, Queue  # noqa: PLC0415 - an extra

    words = Queue(actor_options={"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1})
    task = ray.remote(num_cpus=cpus, max_retries=retries)(_guarded).remote(function, arguments, words)
    is_done = False
    while not is_done:
        is_done = bool(ray.wait([task], timeout=_POLL_S)[0])
        with suppress(Empty):
            while True:
                on_word(words.get_nowait())
        if is_over() and not is_done:
            ray.cancel(task, force=True)
            raise FairleadError(Code.CANCELLED, "told to end before it was done")
    found = ray.get(task)
    if isinstance(found, FairleadError):
        raise found
    return found


def _guarded(function: Callable[..., Any], arguments: tuple[Any, ...], words: Any) -> Any:
    try:
        return function(*arguments, words.put)
    except FairleadError as error:  # as a value: Ray would wrap what is raised into an error of its own
        return error


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """The files of a version, and of those that it is made of, to be sent to where the store is not.

    Attributes:
        id: who it is.
        files: by their paths in a store, the manifests among them.
    """

    id: ServableId
    files: dict[str, bytes]

    @classmethod
    def of(cls, store: Store, id_: ServableId) -> Package:
        """Read a version whose every byte was checked."""
        files: dict[str, bytes] = {}
        for one in (id_, *store.manifest(id_).members):
            version = store.open(one)
            for name in (*version.manifest.files, MANIFEST_FILE):
                files[f"{one.model}/{one.version}/{name}"] = (version.directory / name).read_bytes()
        return cls(id=id_, files=files)

    @contextmanager
    def unpacked(self) -> Iterator[Path]:
        """The root of a store with nothing else in it, for the while."""
        with tempfile.TemporaryDirectory(prefix="fairlead-") as name:
            for file, content in self.files.items():
                (Path(name) / file).parent.mkdir(parents=True, exist_ok=True)
                (Path(name) / file).write_bytes(content)
            yield Path(name)
