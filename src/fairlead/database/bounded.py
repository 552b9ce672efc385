"""A connection to PostgreSQL that gives up on a server that has gone silent."""

from __future__ import annotations

from collections.abc import Generator
from time import monotonic
from typing import Any

import psycopg

__all__ = ["BoundedConnection", "bounded"]


class BoundedConnection(psycopg.Connection[Any]):
    """Waits no longer than `silence_s` for the server's next word, then closes itself.

    A frozen server's kernel goes on acknowledging what is sent: neither a TCP timeout nor one that the server keeps
    (`statement_timeout`) ever ends the wait.
    """

    silence_s: float

    def wait(self, gen: Generator[Any, Any, Any], *args: Any, **kwargs: Any) -> Any:
        """What psycopg runs each exchange with the server through."""
        try:
            return super().wait(bounded(gen, self.silence_s), *args, **kwargs)
        except _SilenceError as silence:
            self.pgconn.finish()
            raise psycopg.OperationalError(f"the server said nothing for {self.silence_s:g} s") from silence


class _SilenceError(Exception):
    """The time is over."""


def bounded(gen: Generator[Any, Any, Any], silence_s: float) -> Generator[Any, Any, Any]:
    """The same exchange, ended when the socket was ready for nothing for `silence_s`.

    psycopg's exchanges are generators: they yield what they wait for, and are sent what the socket is ready for,
    which is 0 each time a tenth of a second passed without anything.
    """
    ready = None
    deadline = monotonic() + silence_s
    try:
        while True:
            ready = yield gen.send(ready)
            if ready:
                deadline = monotonic() + silence_s
            elif monotonic() > deadline:
                raise _SilenceError
    except StopIteration as stop:
        return stop.value
