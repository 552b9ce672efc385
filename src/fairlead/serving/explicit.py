"""Models that are loaded and unloaded by request: which ones they are, as every process of the server sees it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection
from pathlib import Path

from fairlead.errors import Code, FairleadError
from fairlead.serving.manager import Manager
from fairlead.serving.source import Aspired, Source
from fairlead.store.files import exclusive, storage_errors, write_file

__all__ = ["ChosenModels", "ExplicitControl", "ExplicitSource"]

_LOAD_TIMEOUT_S = 300.0
_POLL_S = 0.02


class ChosenModels:
    """The names of the models that should be up, in a small file that outlives the processes. Safe in all of them.

    Args:
        path: the file; a change is there whole or not at all.
        first: the names while there is no file yet.
    """

    def __init__(self, path: Path, first: Collection[str] = ()) -> None:
        self._path = path
        self._first = frozenset(first)

    def read(self) -> frozenset[str]:
        """The names.

        Raises:
            FairleadError: DATA_LOSS when the file is damaged.
        """
        try:
            return frozenset(_names(json.loads(self._path.read_bytes())["loaded"]))
        except FileNotFoundError:
            return self._first
        except (ValueError, KeyError, TypeError) as error:
            raise FairleadError(
                Code.DATA_LOSS, f"{self._path} does not list models: {error}", hint=f"remove {self._path}, load again"
            ) from error

    def add(self, name: str) -> None:
        """Want `name` from now on."""
        self._change(lambda names: names | {name})

    def remove(self, name: str) -> None:
        """Want `name` no more."""
        self._change(lambda names: names - {name})

    def _change(self, change: Callable[[frozenset[str]], frozenset[str]]) -> None:
        with storage_errors(f"writing {self._path}"):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with exclusive(self._path.with_suffix(".lock")):
                write_file(self._path, json.dumps({"loaded": sorted(change(self.read()))}).encode() + b"\n")


def _names(value: object) -> list[str]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is no list")
    return [str(name) for name in value]


class ExplicitSource:
    """Wants of another source's models those that were chosen, and of all others nothing."""

    def __init__(self, source: Source, chosen: ChosenModels) -> None:
        self._source = source
        self._chosen = chosen

    def read(self) -> tuple[dict[str, Aspired], dict[str, str]]:
        chosen = self._chosen.read()
        aspired, problems = self._source.read()
        wanted = {name: what for name, what in aspired.items() if name in chosen}
        unwanted = dict.fromkeys((aspired.keys() | problems.keys()) - chosen, Aspired())
        return wanted | unwanted, {name: problem for name, problem in problems.items() if name in chosen}


class ExplicitControl:
    """Loads and unloads models by request, in this process at once and in the server's others at their next look.

    Args:
        manager: holds the models, with an `ExplicitSource` over the same `chosen`.
        chosen: those that should be.
        timeout_s: how long a load is waited for.
    """

    def __init__(
        self,
        manager: Manager,
        chosen: ChosenModels,
        *,
        timeout_s: float = _LOAD_TIMEOUT_S,
    ) -> None:
        self._manager = manager
        self._chosen = chosen
        self._timeout_s = timeout_s

    async def load(self, model: str) -> None:
        """Load what is aspired of `model`, or what has changed of it, and return once it answers.

        Raises:
            FairleadError: NOT_FOUND when there is no such model; FAILED_PRECONDITION when it cannot be loaded: it is
                tried again until it is unloaded; DEADLINE_EXCEEDED when that takes too long.
        """
        await asyncio.to_thread(self._manager.refresh, model)
        if model not in self._manager.models():
            raise FairleadError(
                Code.NOT_FOUND,
                f"failed to load {model[:80]!r}, failed to poll from model repository: it has no such model",
                hint="POST /v2/repository/index lists the models",
            )
        await asyncio.to_thread(self._chosen.add, model)
        await asyncio.to_thread(self._manager.refresh, model)
        if trouble := await self._outcome(model):
            raise FairleadError(Code.FAILED_PRECONDITION, f"failed to load {model[:80]!r}: {trouble}")

    async def unload(self, model: str) -> None:
        """Take `model` out of service; requests that it has are answered before its memory goes."""
        await asyncio.to_thread(self._chosen.remove, model)
        self._manager.wake()

    async def _outcome(self, model: str) -> str:
        try:
            async with asyncio.timeout(self._timeout_s):
                while (trouble := self._manager.outcome(model)) is None:  # noqa: ASYNC110 - it knows no event loop
                    await asyncio.sleep(_POLL_S)
        except TimeoutError as error:
            raise FairleadError(
                Code.DEADLINE_EXCEEDED, f"{model[:80]!r} is not loaded after {self._timeout_s:g} s; loading goes on"
            ) from error
        return trouble
