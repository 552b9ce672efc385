"""What the comparison needs to know of a server: how it is started and where it answers which protocol."""

from __future__ import annotations

import contextlib
import http.client
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.dialects import Dialect, Payload
from benchmarks.harness.networks import Network
from benchmarks.harness.process import ROOT, ServerProcess, free_port, running

__all__ = ["Endpoint", "Live", "Server", "WrongAnswerError", "ask"]

_TOLERANCE = 1e-4
_GOOD = 200


class WrongAnswerError(Exception):
    """A server whose answer is not the model's."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where a server answers a protocol; `{network}` in the path stands for the model's name."""

    dialect: Dialect
    path: str


@dataclass(frozen=True, kw_only=True)
class Server:
    """One server of the comparison, with the settings it runs at.

    Attributes:
        name: in the command line and the results.
        peer: whose environment it runs in; empty for the present one.
        title: for the reader.
        settings: what was chosen for it, in words.
        packages: whose versions are reported.
        command: what is started. In it and in the environment `{bin}` and `{site}` are the environment's
            folders of programs and packages, `{folder}` the one that `prepare` wrote to, `{network}` the model's name,
            `{model}` the ONNX file, `{port}` and `{grpc_port}` free ports.
        endpoints: by kind of load: json, v2-json, v2-binary, grpc-predict, grpc-infer.
        prepare: writes what the server reads at its start.
    """

    name: str
    peer: str
    title: str
    settings: str
    packages: tuple[str, ...]
    command: Sequence[str]
    endpoints: Mapping[str, Endpoint]
    environment: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[Path, Network, Path], None] = lambda _folder, _network, _site: None

    @contextlib.contextmanager
    def serving(self, network: Network, model: Path, bin_folder: Path, folder: Path) -> Iterator[Live]:
        """Serve one network until the block ends; it starts with the first right answer to a JSON request.

        Raises:
            StartError: when it does not come up.
        """
        site = bin_folder.parent / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
        self.prepare(folder, network, site)
        port, grpc_port = free_port(), free_port()
        known = {
            "bin": str(bin_folder),
            "site": str(site),
            "folder": str(folder),
            "network": network.name,
            "model": str(model),
            "port": str(port),
            "grpc_port": str(grpc_port),
        }
        environment = {"MODEL": str(model), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        environment |= {name: value.format_map(known) for name, value in self.environment.items()}
        first = self.endpoints["json"]
        payload = first.dialect.encode(network, network.rows(1))

        def is_ready() -> bool:
            return ask(port, first.path.format_map(known), payload)[0] == _GOOD

        command = [part.format_map(known) for part in self.command]
        with running(command, is_ready, environment=environment) as process:
            yield Live(server=self, network=network, process=process, port=port, grpc_port=grpc_port)


@dataclass(frozen=True, kw_only=True)
class Live:
    """A server that runs, with one network."""

    server: Server
    network: Network
    process: ServerProcess
    port: int
    grpc_port: int

    def url(self, kind: str) -> str:
        """Where a kind of load goes."""
        endpoint = self.server.endpoints[kind]
        port = self.grpc_port if endpoint.dialect.is_grpc else self.port
        return f"http://127.0.0.1:{port}{self._path(kind)}"

    def answer(self, kind: str, payload: Payload) -> Payload:
        """Ask once.

        Raises:
            WrongAnswerError: when it answers with an error.
        """
        if self.server.endpoints[kind].dialect.is_grpc:
            return _call(self.grpc_port, self._path(kind), payload)
        status, answer = ask(self.port, self._path(kind), payload)
        if status != _GOOD:
            raise WrongAnswerError(f"{kind}: status {status}: {answer.body[:200].decode(errors='replace')}")
        return answer

    def check(self, kind: str, rows: NDArray[np.float32], expected: NDArray[np.float32]) -> Payload:
        """Ask for `rows` and return the answer once it is known to be right.

        Raises:
            WrongAnswerError: when it is another than ONNX Runtime's by more than 1e-4.
        """
        dialect = self.server.endpoints[kind].dialect
        answer = self.answer(kind, dialect.encode(self.network, rows))
        found = dialect.decode(answer)
        if found.shape != expected.shape or not np.allclose(found, expected, rtol=0, atol=_TOLERANCE):
            raise WrongAnswerError(f"{kind}: the answer to {len(rows)} rows is not the model's")
        return answer

    def _path(self, kind: str) -> str:
        return self.server.endpoints[kind].path.format(network=self.network.name)


def ask(port: int, path: str, payload: Payload) -> tuple[int, Payload]:
    """POST once, on a connection of its own; status 0 when nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", path, payload.body, dict(payload.headers))
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return response.status, Payload(body=response.read(), headers=headers)
    except (OSError, http.client.HTTPException):
        return 0, Payload(body=b"")
    finally:
        connection.close()


def _call(port: int, path: str, payload: Payload) -> Payload:
    """One unary call, by the reference client; both bodies carry gRPC's five bytes before the message."""
    prefix = payload.body[:5]
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            message = channel.unary_unary(path)(payload.body[len(prefix) :], timeout=30)
        except grpc.RpcError as error:
            raise WrongAnswerError(f"{path}: {error.code()}: {error.details()}") from error
    return Payload(body=b"\0" + len(message).to_bytes(4, "big") + message)
