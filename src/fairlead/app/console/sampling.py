"""Reads the server's own counts every few seconds, so that the console knows the last quarter of an hour by itself."""

from __future__ import annotations

import asyncio
import time
import urllib.request

from fairlead.app.console.door import opener
from fairlead.console.traffic import SAMPLE_EVERY_S, History, Sample, parse

__all__ = ["Sampler"]

_TIMEOUT_S = 4.0


class Sampler:
    """Fills a history.

    Args:
        management: the URL of the management port.
        key: the console's own credential there.
        door: leads there past the port; None where none is needed.
        history: takes the samples.
    """

    def __init__(self, management: str, key: str, door: int | None, history: History) -> None:
        self._opener = opener(door)
        management = management if door is None else "http://localhost"
        self._request = urllib.request.Request(f"{management}/metrics", headers={"x-api-key": key})  # noqa: S310 - ours
        self._history = history

    async def run(self) -> None:
        """Read for ever; what cannot be read is missing, and the history says so."""
        while True:
            try:
                self._history.add(await asyncio.to_thread(self._read))
            except (OSError, ValueError) as error:
                self._history.fail(f"The server's counts cannot be read just now: {error}")
            await asyncio.sleep(SAMPLE_EVERY_S)

    def _read(self) -> Sample:
        with self._opener.open(self._request, timeout=_TIMEOUT_S) as answer:
            return parse(answer.read().decode(), time.time())
