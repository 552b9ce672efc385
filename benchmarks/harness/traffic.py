"""Clients that ask in a closed loop and judge every answer: was it whole, and from which version of the model?"""

from __future__ import annotations

import asyncio
import time
from array import array
from collections import Counter
from collections.abc import Callable

import orjson

from benchmarks.harness.connection import Answer, Connection, connect, post
from benchmarks.harness.networks import CLASSES, CNN, INPUT

__all__ = ["Traffic", "request_rows"]

_GOOD = 200
_SHOWN = 5
_RETRY_S = 0.005


def request_rows(model: str, rows: int) -> bytes:
    """A V2 request for some images, in binary and answered in JSON; every answer to it names its version."""
    images = CNN.rows(rows)
    tensor = {
        "name": INPUT,
        "shape": images.shape,
        "datatype": "FP32",
        "parameters": {"binary_data_size": images.nbytes},
    }
    head = orjson.dumps({"inputs": [tensor]})
    headers = {"inference-header-content-length": str(len(head))}
    return post(f"/v2/models/{model}/infer", headers, head + images.tobytes())


class Traffic:
    """What the clients saw. The models answer with the digit that is their version's number.

    Args:
        port: of the service.
        request: from `request_rows`.
    """

    def __init__(self, port: int, request: bytes) -> None:
        self._port = port
        self._request = request
        self._progress = asyncio.Event()
        self._goal = 0
        self.answered = 0
        self.failed = 0
        self.mixed = 0
        self.failures: list[str] = []
        self.versions: Counter[int] = Counter()
        self.latest = 0
        self.latencies_ms = array("f")
        self.is_up = asyncio.Event()
        """Cleared while the service is stopped on purpose: connections are refused then, and that is no failure."""
        self.is_up.set()

    async def run(self, requests: int, *, kept_alive: int, renewed: int) -> None:
        """Ask so often, by clients that keep their connections and by others that open one for each request."""
        self._goal = self.answered + self.failed + requests
        async with asyncio.TaskGroup() as clients:
            for _ in range(kept_alive):
                clients.create_task(self._client(is_kept=True))
            for _ in range(renewed):
                clients.create_task(self._client(is_kept=False))

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return once `condition` holds, or all has been asked; it is looked at after every answer."""
        while not condition() and not self.is_done:
            self._progress.clear()
            await self._progress.wait()

    @property
    def is_done(self) -> bool:
        return self.answered + self.failed >= self._goal

    async def _client(self, *, is_kept: bool) -> None:
        connection: Connection | None = None
        while not self.is_done:
            if connection is None or not connection.is_open:
                connection = await self._connect()
            if connection is not None:
                await self._ask(connection)
                if not is_kept:
                    connection.close()
        if connection is not None:
            connection.close()

    async def _connect(self) -> Connection | None:
        """A new connection; None when it was refused, which counts unless the service is down on purpose."""
        was_up = self.is_up.is_set()
        try:
            return await connect(self._port)
        except OSError as error:
            if was_up and self.is_up.is_set():
                self._fail(f"connecting: {error}")
            await asyncio.sleep(_RETRY_S)
            await self.is_up.wait()
            return None

    async def _ask(self, connection: Connection) -> None:
        began = time.perf_counter()
        try:
            answer = await connection.ask(self._request)
        except OSError as error:
            self._fail(f"asking: {error}")
        else:
            self.latencies_ms.append((time.perf_counter() - began) * 1e3)
            self._judge(answer)

    def _judge(self, answer: Answer) -> None:
        if answer.status != _GOOD:
            self._fail(f"status {answer.status}: {answer.body[:200]!r}")
            return
        body = orjson.loads(answer.body)
        version, values = int(body["model_version"]), body["outputs"][0]["data"]
        rows = [values[start : start + CLASSES] for start in range(0, len(values), CLASSES)]
        if {row.index(max(row)) for row in rows} != {version}:
            self.mixed += 1
            self._fail(f"version {version} answered {rows}"[:300])
            return
        self.answered += 1
        self.versions[version] += 1
        self.latest = version
        self._progress.set()

    def _fail(self, what: str) -> None:
        self.failed += 1
        if len(self.failures) < _SHOWN:
            self.failures.append(what)
        self._progress.set()
