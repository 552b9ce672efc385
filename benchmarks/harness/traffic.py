"""Clients that ask in a closed loop and judge every answer: was it whole, and from which version of the model?"""

from __future__ import annotations

import asyncio
import time
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass

import grpc
import numpy as np
import orjson

from benchmarks.harness.connection import Answer, Connection, connect, post
from benchmarks.harness.networks import CLASSES, CNN, INPUT
from fairlead.transport.grpc.messages import Message, message_class

__all__ = ["Clients", "Traffic"]

_GOOD = 200
_SHOWN = 5
_RETRY_S = 0.005


_INFER = "/inference.GRPCInferenceService/ModelInfer"
_CALL_S = 30.0
_NOT_CONNECTED = "failed to connect"
_CHANNEL = [
    ("grpc.use_local_subchannel_pool", 1),  # channels share connections otherwise
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 100),
]


@dataclass(frozen=True, kw_only=True)
class Clients:
    """How many clients ask: over kept and over ever new connections, by REST and by gRPC."""

    rest_kept: int = 0
    rest_renewed: int = 0
    grpc_kept: int = 0
    grpc_renewed: int = 0


class Traffic:
    """What the clients saw. The models answer with the digit that is their version's number.

    Args:
        rest_port, grpc_port: of the service.
        model: asked for.
        rows: images a request.
    """

    def __init__(self, rest_port: int, grpc_port: int, model: str, rows: int) -> None:
        self._rest_port = rest_port
        self._grpc_port = grpc_port
        self._rest_request = _rest_request(model, rows)
        self._grpc_request = _grpc_request(model, rows)
        self._progress = asyncio.Event()
        self._goal = 0
        self.answered = 0
        self.failed = 0
        self.mixed = 0
        self.failures: list[str] = []
        self.versions: Counter[int] = Counter()
        self.latest = 0
        self.phase = ""
        """What is going on, said by whoever makes it go on; latencies are kept apart by it."""
        self.latencies_ms: defaultdict[str, array[float]] = defaultdict(lambda: array("d"))
        self.is_up = asyncio.Event()
        """Cleared while the service is stopped on purpose: being refused then is no failure."""
        self.is_up.set()

    async def run(self, requests: int, clients: Clients) -> None:
        """Ask so often, all clients together."""
        self._goal = self.answered + self.failed + requests
        async with asyncio.TaskGroup() as tasks:
            for count, client in (
                (clients.rest_kept, self._rest_client(is_kept=True)),
                (clients.rest_renewed, self._rest_client(is_kept=False)),
                (clients.grpc_kept, self._grpc_client(is_kept=True)),
                (clients.grpc_renewed, self._grpc_client(is_kept=False)),
            ):
                for _ in range(count):
                    tasks.create_task(client())

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return once `condition` holds, or all has been asked; it is looked at after every answer."""
        while not condition() and not self.is_done:
            self._progress.clear()
            await self._progress.wait()

    @property
    def is_done(self) -> bool:
        return self.answered + self.failed >= self._goal

    def _rest_client(self, *, is_kept: bool) -> Callable[[], Coroutine[None, None, None]]:
        async def client() -> None:
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

        return client

    def _grpc_client(self, *, is_kept: bool) -> Callable[[], Coroutine[None, None, None]]:
        async def client() -> None:
            while not self.is_done:
                async with grpc.aio.insecure_channel(f"127.0.0.1:{self._grpc_port}", _CHANNEL) as channel:
                    await self._call(channel)
                    while is_kept and not self.is_done:
                        await self._call(channel)

        return client

    async def _connect(self) -> Connection | None:
        """A new connection; None when it was refused, which counts unless the service is down on purpose."""
        was_up = self.is_up.is_set()
        try:
            return await connect(self._rest_port)
        except OSError as error:
            if was_up and self.is_up.is_set():
                self._fail(f"connecting: {error}")
            await asyncio.sleep(_RETRY_S)
            await self.is_up.wait()
            return None

    async def _ask(self, connection: Connection) -> None:
        began = time.perf_counter()
        try:
            answer = await connection.ask(self._rest_request)
        except OSError as error:
            self._fail(f"asking: {error}")
        else:
            self._note(began)
            self._judge_rest(answer)

    async def _call(self, channel: grpc.aio.Channel) -> None:
        await self.is_up.wait()
        await channel.channel_ready()
        began = time.perf_counter()
        call = channel.unary_unary(_INFER)
        try:
            message = await call(self._grpc_request, timeout=_CALL_S)
        except grpc.aio.AioRpcError as error:
            said = f"calling: {error.code()}: {error.details()}"
            if self.is_up.is_set() or _NOT_CONNECTED not in said:
                self._fail(said)
        else:
            self._note(began)
            response = message_class("inference.ModelInferResponse").FromString(message)
            values = np.frombuffer(response.raw_output_contents[0], np.float32).tolist()
            self._judge(int(response.model_version), values)

    def _note(self, began: float) -> None:
        self.latencies_ms[self.phase].append((time.perf_counter() - began) * 1e3)

    def _judge_rest(self, answer: Answer) -> None:
        if answer.status != _GOOD:
            self._fail(f"status {answer.status}: {answer.body[:200]!r}")
            return
        body = orjson.loads(answer.body)
        self._judge(int(body["model_version"]), body["outputs"][0]["data"])

    def _judge(self, version: int, values: Sequence[float]) -> None:
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


def _rest_request(model: str, rows: int) -> bytes:
    """V2 with a binary input, answered in JSON: quick to write and to check."""
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


def _grpc_request(model: str, rows: int) -> bytes:
    images = CNN.rows(rows)
    request: Message = message_class("inference.ModelInferRequest")(
        model_name=model, raw_input_contents=[images.tobytes()]
    )
    request.inputs.add(name=INPUT, datatype="FP32", shape=images.shape)
    message: bytes = request.SerializeToString()
    return message
