"""The port: whether it can be had, and whether it is the one that the platform routes to."""

from __future__ import annotations

import errno
import http.client
import socket
from collections.abc import Mapping

from fairlead.app.doctor.finding import Finding, Health, ok

__all__ = ["port", "port_variable"]


def port(host: str, port: int, flag: str) -> Finding:
    """Whether the address, whose port `flag` sets, can be had, and if not, who has it."""
    name = f"port {port}"
    try:
        _bind(host, port)
    except (OSError, UnicodeError) as error:
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            owner = "a Fairlead server" if _is_fairlead(port) else "another process"
            reason = f"{error.strerror}; {owner} answers there"
            hint = f"ss -ltnp 'sport = :{port}' shows whose it is, or take another: {flag} {port + 1}"
        else:
            reason = (isinstance(error, OSError) and error.strerror) or str(error)
            hint = f"name an address of this machine, --host 127.0.0.1 or 0.0.0.0, and a port from 1024: {flag} 8501"
        message = f"{host}:{port} cannot be had: {reason}"
        return Finding(name=name, health=Health.FAILED, message=message, hint=hint)
    return ok(name, f"{host}:{port} is free")


def _bind(host: str, port: int) -> None:
    """Take the address as a server would, and let it go."""
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    with socket.socket(family, kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)


def _is_fairlead(port: int) -> bool:
    """Whether `/alive` is answered there. Asked without a proxy, and whatever else answers is not one of ours."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/alive")
        answer = connection.getresponse()
        return answer.status == http.HTTPStatus.OK and b"alive" in answer.read(100)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def port_variable(port: int, environ: Mapping[str, str]) -> Finding:
    """Platforms that route to $PORT find nobody there when the server listens elsewhere."""
    wanted = environ.get("PORT")
    if wanted is None or wanted == str(port):
        return ok("PORT", "not set by a platform" if wanted is None else f"agrees with the REST port, {port}")
    return Finding(
        name="PORT",
        health=Health.WARNING,
        message=f"the platform sets PORT={wanted} but the REST port is {port}",
        hint=f"fairlead serve --host 0.0.0.0 --rest-port {wanted}",
    )
