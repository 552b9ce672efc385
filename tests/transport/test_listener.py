"""The listening socket, and what is said when there is none to be had."""

import resource
import socket
import sys

import pytest

from fairlead.errors import Code, FairleadError
from fairlead.transport.listener import allow_connections, open_socket, turn_away


def test_a_taken_port_is_named_with_the_next_step() -> None:
    """A port in use is UNAVAILABLE, names the address and tells how to find out more."""
    with open_socket("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(FairleadError) as caught:
            open_socket("127.0.0.1", port)
    assert caught.value.code is Code.UNAVAILABLE
    assert caught.value.message == f"127.0.0.1:{port} is in use by another process"
    assert caught.value.hint == f"fairlead doctor --rest-port {port}"


def test_a_port_can_be_taken_again_at_once() -> None:
    """A restart need not wait for the connections of the last run to be forgotten."""
    with open_socket("127.0.0.1", 0) as first:
        address = first.getsockname()
        with socket.create_connection(address) as client:
            connection, _ = first.accept()
            connection.close()  # the side that closes first keeps the address for a while
            assert client.recv(1) == b""
    open_socket(*address).close()


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_the_ipv6_wildcard_takes_ipv4_too() -> None:
    """Listening on :: answers on both families."""
    with open_socket("::", 0) as sock:
        port = sock.getsockname()[1]
        socket.create_connection(("127.0.0.1", port)).close()
        socket.create_connection(("::1", port)).close()


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host"])
def test_an_impossible_address(host: str) -> None:
    """An address that is not this machine's, or none at all, is INVALID_ARGUMENT and named."""
    with pytest.raises(FairleadError) as caught:
        open_socket(host, 0)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert f"{host}:0" in caught.value.message


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux filters sockets")
def test_who_is_turned_away() -> None:
    """Nobody can begin a connection any more, and those who had begun are served."""
    with open_socket("127.0.0.1", 0) as sock:
        address = sock.getsockname()
        with socket.create_connection(address) as early:
            turn_away(sock)
            with pytest.raises(TimeoutError):
                socket.create_connection(address, timeout=0.2)
            connection, _ = sock.accept()
            with connection:
                connection.setblocking(True)
                early.sendall(b"hello")
                assert connection.recv(5) == b"hello"


def test_as_many_files_as_connections() -> None:
    """The usual limit of 1024 files is raised as far as it goes, and never lowered."""
    before = soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = soft if hard == resource.RLIM_INFINITY else hard
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
        allow_connections(400)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (min(656, most), hard)
        allow_connections(1)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (min(656, most), hard)
        if hard != resource.RLIM_INFINITY:
            allow_connections(10 * hard)
            assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
