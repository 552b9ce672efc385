"""One line for each request, written off the request's path: what was asked, what came of it, how long it took.

Nothing that a client made up is in it: routes in place of paths, names of models that are there, ids of our own. A
user's key stands there as a keyed hash, and where a request came from does not stand there at all.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

import orjson

from fairlead.errors import Code
from fairlead.serving.prediction_id import PredictionIds
from fairlead.transport.message import Call
from fairlead.transport.spans import route

__all__ = ["AccessLog"]

_log = logging.getLogger(__name__)
_PAUSE_S: Final = 0.1
_MOST_WAITING: Final = 100_000
_MOST_KNOWN: Final = 1_000
_AT_ONCE: Final = 256

_THOUSANDTHS: Final = tuple(f".{thousandth:03d}Z" for thousandth in range(1000))
"""Of a second: made once, since to format a number takes longer than to look it up."""

_Entry = tuple[Call, str, str, int, Code | None, bool, float, float]
"""The arguments of `AccessLog.put`."""


class AccessLog:
    """Takes requests in the event loop, and writes their lines in a thread, ten times a second or more often.

    What was answered in the last tenth of a second is lost when the process is killed.

    Args:
        write: takes lines, as `telemetry.log_file.LogFile.write` does.
        pseudonym: stands for a user.
        on_drop: told of lines that were given up, when the disk does not keep up.
    """

    def __init__(
        self, write: Callable[[bytes], object], *, pseudonym: Callable[[str], str], on_drop: Callable[[int], object]
    ) -> None:
        self._write = write
        self._pseudonym = pseudonym
        self._on_drop = on_drop
        self._ids = PredictionIds()
        self._waiting: deque[_Entry] = deque()
        self._known: dict[tuple[object, ...], str] = {}
        self._second, self._shown = -1, ""
        self._has_work = threading.Event()
        self._is_closed = False
        self._writer = threading.Thread(target=self._run, name="access log", daemon=True)
        self._writer.start()

    def put(
        self,
        call: Call,
        method: str,
        path: str,
        status: int,
        code: Code | None,
        *,
        is_known: bool,
        ended: float,
        seconds: float,
    ) -> None:
        """Note what was answered; never waits.

        Args:
            call: what it was about.
            method: of HTTP; nothing for a call of gRPC.
            path: as the client wrote it; of gRPC, that of a method that there is.
            status: HTTP's, or gRPC's.
            code: None for a success.
            is_known: whether there is such a model and version.
            ended: the monotonic second at which it was answered.
            seconds: that it took.
        """
        count = len(self._waiting)
        if count >= _MOST_WAITING:
            self._on_drop(1)
            return
        self._waiting.append((call, method, path, status, code, is_known, ended, seconds))
        if count == _AT_ONCE:
            self._has_work.set()

    def close(self) -> None:
        """Write what is left."""
        self._is_closed = True
        self._has_work.set()
        self._writer.join()

    # -- in the thread ---------------------------------------------------------------------------------------------

    def _run(self) -> None:
        """Write whenever there is enough for a piece, which takes a fraction of a millisecond, or a pause is over."""
        while not self._is_closed:
            self._has_work.wait(_PAUSE_S)
            self._has_work.clear()
            self._flush()
        self._flush()

    def _flush(self) -> None:
        waiting = self._waiting
        since = time.time() - time.monotonic()
        while waiting:
            some = [waiting.popleft() for _ in range(min(len(waiting), _AT_ONCE))]
            try:
                piece = self._ids()
                lines = [self._line(entry, since, piece, number) for number, entry in enumerate(some)]
                self._write("".join(lines).encode())
            except Exception:  # noqa: BLE001 - what cannot be written costs these lines, not those to come
                _log.exception("%d requests cannot be logged", len(some))
                self._on_drop(len(some))

    def _line(self, entry: _Entry, since: float, piece: str, number: int) -> str:
        """The line; a request that nobody was told an id of is named by its place in the piece, which costs less."""
        call, method, path, status, code, is_known, ended, seconds = entry
        at = since + ended
        second = int(at)
        if second != self._second:
            self._second = second
            self._shown = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        id_ = call.request_id or call.prediction_id or f"{piece}-{number}"
        more = f',"trace_id":"{call.trace.trace_id}"' if call.trace is not None else ""
        if call.key:
            more += f',"user":"{self._pseudonym(call.key)}"'
        key = (call.protocol, method, path, status, code, is_known, call.model, call.version, call.label)
        rest = self._known.get(key)
        if rest is None:
            rest = self._rest(call, method, path, status, code, is_known=is_known)
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[key] = rest
        return (
            f'{{"time":"{self._shown}{_THOUSANDTHS[int(1000 * (at - second))]}","duration_us":{int(1e6 * seconds)},'
            f'"request_id":"{id_}"{more},{rest}'
        )

    def _rest(self, call: Call, method: str, path: str, status: int, code: Code | None, *, is_known: bool) -> str:
        """What requests have in common that differ in nothing else, up to the end of the line."""
        line: dict[str, str | int] = {
            "protocol": call.protocol,
            "operation": _operation(method, path),
            "status": status,
            "code": code.value if code is not None else "OK",
        }
        if is_known and call.model:
            line["model"] = call.model
            if call.version is not None:
                line["version"] = call.version
                if call.label:
                    line["label"] = call.label
        return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE).decode()[1:]


def _operation(method: str, path: str) -> str:
    if not method:
        return path.removeprefix("/")
    documented = route(method, path)
    return f"{method} {documented}" if documented else ""
