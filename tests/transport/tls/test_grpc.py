"""gRPC over TLS: grpcio and Triton's client, and mutual TLS right and wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
import tritonclient.grpc
from tests.certificates import Authority, Pair
from tests.cli.clients import wait_until
from tests.transport.grpc.live import TIMEOUT_S, Running

from .conftest import Counted

LIVE = "/inference.GRPCInferenceService/ServerLive"


@contextmanager
def serving(pair: Pair, client_ca: Path | None = None) -> Iterator[tuple[Running, Counted]]:
    """A server with that certificate."""
    tls = Counted(pair, "h2", client_ca)
    running = Running(tls=tls)
    try:
        yield running, tls
    finally:
        running.stop()


def live(port: int, authority: Authority, own: Pair | None = None) -> str:
    """The code that a call gets, over a channel of its own."""
    shown = (own.key.read_bytes(), own.certificate.read_bytes()) if own else (None, None)
    credentials = grpc.ssl_channel_credentials(authority.path.read_bytes(), *shown)
    with grpc.secure_channel(f"localhost:{port}", credentials) as channel:
        try:
            assert channel.unary_unary(LIVE)(b"", timeout=TIMEOUT_S) == b"\x08\x01"
        except grpc.RpcError as error:
            return str(error.code().name)
    return "OK"


def test_clients_of_grpc_get_their_answers(pair: Pair, authority: Authority) -> None:
    """And one that speaks without TLS, or trusts somebody else, gets none."""
    with serving(pair) as (running, tls):
        assert live(running.port, authority) == "OK"
        address = f"localhost:{running.port}"
        with tritonclient.grpc.InferenceServerClient(
            address, ssl=True, root_certificates=str(authority.path)
        ) as triton:
            assert triton.is_server_live()
        assert tls.failures == 0
        with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as refused:
            channel.unary_unary(LIVE)(b"", timeout=TIMEOUT_S)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        wait_until(lambda: tls.failures >= 1)


def test_clients_of_grpc_have_to_show_a_certificate(pair: Pair, authority: Authority, tmp_path: Path) -> None:
    """Of the authority that the server names."""
    (tmp_path / "others").mkdir()
    stranger = Authority(tmp_path / "others").issue("stranger", is_client=True)
    with serving(pair, authority.path) as (running, _):
        assert live(running.port, authority, authority.issue("client", is_client=True)) == "OK"
        assert live(running.port, authority) == "UNAVAILABLE"
        assert live(running.port, authority, stranger) == "UNAVAILABLE"


def test_a_drain_ends_connections_with_tls(pair: Pair, authority: Authority) -> None:
    """The client is asked to go, and goes."""
    with serving(pair) as (running, _):
        credentials = grpc.ssl_channel_credentials(authority.path.read_bytes())
        with grpc.secure_channel(f"localhost:{running.port}", credentials) as channel:
            assert channel.unary_unary(LIVE)(b"", timeout=TIMEOUT_S) == b"\x08\x01"
            running.drain()
            running.thread.join(TIMEOUT_S)
            assert not running.thread.is_alive()
