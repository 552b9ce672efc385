"""What a request waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextvars import Context
from typing import Any

from fairlead.serving.batching import Outputs

__all__ = ["Answer"]

Callback = Callable[[Any], object]


class Answer:
    """A future whose waiter goes on at once when the outputs are there, not in the loop's next turn.

    To whatever awaits it, tasks included, it is an `asyncio.Future`. A handle in the loop for every request would cost
    as much as decoding it does. Errors and cancellations, which may come from within a waiter's own step, take the
    usual way.

    Args:
        loop: the one that runs.
    """

    __slots__ = ("_asyncio_future_blocking", "_callbacks", "_error", "_is_cancelled", "_loop", "_outputs")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._asyncio_future_blocking = False  # by which a task knows a future
        self._loop = loop
        self._callbacks: list[tuple[Callback, Context | None]] = []
        self._outputs: Outputs | None = None
        self._error: Exception | None = None
        self._is_cancelled = False

    def __await__(self) -> Generator[Any, None, Outputs]:
        """Wait for the outputs."""
        if not self.done():
            self._asyncio_future_blocking = True
            yield self
        return self.result()

    def done(self) -> bool:
        """Whether there is anything to be had, be it an error."""
        return self._outputs is not None or self._error is not None or self._is_cancelled

    def cancelled(self) -> bool:
        """Whether nobody waits for it any more."""
        return self._is_cancelled

    def result(self) -> Outputs:
        """The outputs, or the error raised."""
        if self._outputs is not None:
            return self._outputs
        if self._error is not None:
            raise self._error
        if self._is_cancelled:
            raise asyncio.CancelledError
        raise asyncio.InvalidStateError("the answer is not there yet")

    def set_result(self, outputs: Outputs) -> None:
        """Give the outputs, and run whoever waits for them. Not to be called in a task, and it raises nothing."""
        self._outputs = outputs
        callbacks, self._callbacks = self._callbacks, []
        for callback, context in callbacks:
            try:
                if context is None:
                    callback(self)
                else:
                    context.run(callback, self)
            except Exception as error:  # noqa: BLE001 - as the loop has it: others wait for their answers too
                self._loop.call_exception_handler({"message": "who waited for an answer broke", "exception": error})

    def set_exception(self, error: Exception) -> None:
        """Give an error instead; whoever waits learns of it in the loop's next turn."""
        self._error = error
        self._wake()

    def cancel(self, msg: object = None) -> bool:  # noqa: ARG002 - the signature of a future's
        """Note that nobody waits any more; false when it is too late for that."""
        if self.done():
            return False
        self._is_cancelled = True
        self._wake()
        return True

    def add_done_callback(self, callback: Callback, *, context: Context | None = None) -> None:
        """Have `callback` called with this answer once it is done."""
        if self.done():
            self._loop.call_soon(callback, self, context=context)
        else:
            self._callbacks.append((callback, context))

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop it belongs to."""
        return self._loop

    def _wake(self) -> None:
        callbacks, self._callbacks = self._callbacks, []
        for callback, context in callbacks:
            self._loop.call_soon(callback, self, context=context)
