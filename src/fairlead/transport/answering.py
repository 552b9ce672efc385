"""One answer in the making: a coroutine that the event loop's callbacks drive, without a task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

__all__ = ["Answering"]


class Answering:
    """Runs a coroutine at once as far as it gets, and on whenever what it waits for is done.

    A task would begin in the loop's next turn, which a client that is alone waits for. (From Python 3.12 on there are
    eager tasks.) Whatever needs a task around it, as `asyncio.timeout` does, is given one by whoever awaits it.

    Args:
        coroutine: it awaits nothing but futures, what behaves like one, and other such coroutines.
        then: called when it has ended, unless `begin` has told so.
    """

    __slots__ = ("_coroutine", "_then", "_waits_for")

    def __init__(self, coroutine: Coroutine[Any, Any, None], then: Callable[[], None]) -> None:
        self._coroutine = coroutine
        self._then = then
        self._waits_for: Any = None  # a future

    def begin(self) -> bool:
        """Run until it has to wait, or to its end: then it is true. What it raises is raised here."""
        try:
            waits_for = self._coroutine.send(None)
        except StopIteration:
            return True
        waits_for._asyncio_future_blocking = False  # noqa: SLF001 - the future's way to see that it was awaited
        waits_for.add_done_callback(self._go_on)
        self._waits_for = waits_for
        return False

    def cancel(self) -> None:
        """Have it raise CancelledError where it waits, in the loop's next turn."""
        if self._waits_for is not None:
            self._waits_for.cancel()

    def _go_on(self, _done: object) -> None:
        self._waits_for = None
        try:
            has_ended = self.begin()
        except asyncio.CancelledError:
            has_ended = True
        if has_ended:
            self._then()
