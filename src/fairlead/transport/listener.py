"""The socket that a server accepts from."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import resource
import socket
import struct
import time
from collections.abc import Sequence

from fairlead.errors import Code, FairleadError

__all__ = ["BACKLOG", "accept_all", "allow_connections", "open_socket", "stop_arrivals", "turn_away"]

BACKLOG = 2048

_OTHER_FILES = 256
_HANDSHAKE_S = 0.05
_ACCEPTED_WITHIN_S = 2.0
_POLL_S = 0.005
_WAITING_AT = 24  # where Linux's struct tcp_info has, for a listening socket, how many wait to be accepted

_SO_ATTACH_FILTER = 26  # Linux's number; the socket module does not have it
_DROP_SYN = (  # classic BPF over the TCP header: code, jump if true, jump if false, operand
    (0x30, 0, 0, 13),  # load the byte with the flags
    (0x54, 0, 0, 0x12),  # leave SYN and ACK of them
    (0x15, 0, 1, 0x02),  # SYN alone begins a connection:
    (0x06, 0, 0, 0),  # drop it
    (0x06, 0, 0, 0xFFFFFFFF),  # let all else pass
)


def open_socket(host: str, port: int, flag: str = "--rest-port") -> socket.socket:
    """Listen on `host` and `port` (0 to 65535), which `flag` sets; 0 takes a free port, and "::" takes IPv4 as well.

    Raises:
        FairleadError: UNAVAILABLE when the port is taken, PERMISSION_DENIED or INVALID_ARGUMENT when the address
            cannot be used at all.
    """
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return _listen(family, address)
    except OSError as error:
        raise _explain(error, place, port, flag) from error


def allow_connections(count: int) -> None:
    """Let this process have so many files open, and some beside them, as far as the system lets it: 1024 is usual."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + _OTHER_FILES
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft not in (resource.RLIM_INFINITY, hard) and wanted > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def turn_away(sock: socket.socket) -> None:
    """Let no new connection begin on `sock`, while those that are being made are completed.

    A connection that begins between the last accept and the close would be reset. Its client's kernel tries again
    instead and finds the port closed, or another process there. Where the system has no such filter, nothing happens.
    """
    program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in _DROP_SYN))
    with contextlib.suppress(OSError):
        sock.setsockopt(
            socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(_DROP_SYN), ctypes.addressof(program))
        )


def accept_all(sock: socket.socket) -> list[socket.socket]:
    """The connections that wait behind `sock`."""
    accepted: list[socket.socket] = []
    with contextlib.suppress(OSError):  # nobody waits, or the process may open no more files
        while True:
            accepted.append(sock.accept()[0])
    return accepted


async def stop_arrivals(socks: Sequence[socket.socket]) -> None:
    """Turn new connections away, and return once other processes have accepted all that had begun.

    Whoever closes a socket that they share without this resets the connections that wait behind it.
    """
    for sock in socks:
        turn_away(sock)
    await asyncio.sleep(_HANDSHAKE_S)  # for handshakes that had begun
    given_up = time.monotonic() + _ACCEPTED_WITHIN_S
    while any(map(_waiting, socks)) and time.monotonic() < given_up:  # noqa: ASYNC110 - the kernel tells nobody
        await asyncio.sleep(_POLL_S)


def _waiting(sock: socket.socket) -> int:
    """How many connections wait on `sock` to be accepted; 0 where the system does not say."""
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _WAITING_AT + 4)
    except OSError:
        return 0
    return int(struct.unpack_from("=I", info, _WAITING_AT)[0])


def _listen(family: socket.AddressFamily, address: tuple[object, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.setblocking(False)
        sock.bind(address)
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def _explain(error: OSError, place: str, port: int, flag: str) -> FairleadError:
    if error.errno == errno.EADDRINUSE:
        return FairleadError(
            Code.UNAVAILABLE, f"{place} is in use by another process", hint=f"fairlead doctor {flag} {port}"
        )
    if error.errno == errno.EACCES:
        return FairleadError(
            Code.PERMISSION_DENIED, f"{place} needs a privilege this process lacks", hint="take a port from 1024 on"
        )
    return FairleadError(Code.INVALID_ARGUMENT, f"{place} cannot be listened on: {error}", hint="0.0.0.0 takes all")
