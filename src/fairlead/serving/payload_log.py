"""What was asked and what was answered, a line each, for people who look into what a model does. Texts are redacted."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import orjson

from fairlead.servable.identity import ServableId
from fairlead.servable.signature import Array
from fairlead.serving.redacted import redacted

__all__ = ["Payload", "PayloadLog"]

_PAUSE_S = 0.2
_MOST_BYTES = 64 << 20
_MOST_ARRAY_BYTES = 256 << 10


class Payload(NamedTuple):
    """A request that was answered.

    Attributes:
        at: seconds since 1970.
        trace_id: empty when it is not traced.
        inputs, outputs: by name.
    """

    at: float
    request_id: str
    trace_id: str
    id: ServableId
    arm: str
    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]


class PayloadLog:
    """Takes payloads in the event loop; redacts and writes them in a thread, several times a second.

    Args:
        write: takes lines, as `telemetry.log_file.LogFile.write` does.
        on_drop: told of payloads that were given up, when more than 64 MiB of them wait.
    """

    def __init__(self, write: Callable[[bytes], object], *, on_drop: Callable[[int], object]) -> None:
        self._write = write
        self._on_drop = on_drop
        self._waiting: deque[tuple[Payload, int]] = deque()
        self._lock = threading.Lock()
        self._bytes = 0
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="payload log", daemon=True)
        self._thread.start()

    def put(self, payload: Payload) -> None:
        """Note what was asked and answered; never waits for the disk."""
        size = sum(values.nbytes for values in (*payload.inputs.values(), *payload.outputs.values()))
        with self._lock:
            has_room = self._bytes + size <= _MOST_BYTES
            self._bytes += size if has_room else 0
        if has_room:
            self._waiting.append((payload, size))
        else:
            self._on_drop(1)

    def close(self) -> None:
        """Write what is left."""
        self._is_closed.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._is_closed.wait(_PAUSE_S):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        while self._waiting:
            payload, size = self._waiting.popleft()
            self._write(_line(payload))
            with self._lock:
                self._bytes -= size


def _line(payload: Payload) -> bytes:
    second = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(payload.at))
    line: dict[str, object] = {
        "time": f"{second}.{int(1000 * (payload.at % 1)):03d}Z",
        "request_id": payload.request_id,
        "model": payload.id.model,
        "version": payload.id.version,
        "arm": payload.arm,
        "inputs": {name: _shown(values) for name, values in payload.inputs.items()},
        "outputs": {name: _shown(values) for name, values in payload.outputs.items()},
    }
    if payload.trace_id:
        line["trace_id"] = payload.trace_id
    return orjson.dumps(line, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)


def _shown(values: Array) -> object:
    """The values; of an array that is too large, what it is."""
    if values.nbytes > _MOST_ARRAY_BYTES:
        return {"dtype": str(values.dtype), "shape": list(values.shape)}
    return redacted(values).tolist() if values.dtype.kind in "OSU" else np.ascontiguousarray(values)
