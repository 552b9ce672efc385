"""A certificate as a client is shown it."""

from __future__ import annotations

import ssl
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Certificate", "shown_by"]

_NO_CHECK_TIME = 0x200000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME, for which the ssl module has no name: when it ends is to be told, not judged."""

_MOST_FLIGHTS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What is said of one.

    Attributes:
        begins, ends: seconds since 1970.
        names: whom it is for, DNS names and addresses.
    """

    begins: float
    ends: float
    names: tuple[str, ...]


def shown_by(context: ssl.SSLContext, chain: Path) -> Certificate:
    """What a client learns that shakes hands with `context` and trusts all of `chain`, in memory.

    It is the one way to have OpenSSL read a certificate with the standard library, and it shows as well that key and
    certificate belong together and that a client takes them for a server's.

    Raises:
        ssl.SSLError: when a client would not take it.
    """
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_context.check_hostname = False
    client_context.load_verify_locations(cafile=chain)
    client_context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VerifyFlags(_NO_CHECK_TIME)
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server)
    server = context.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(_MOST_FLIGHTS):
        for side in (client, server):
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
    seen = client.getpeercert()
    if not seen:
        raise ssl.SSLError("the handshake has no end")
    return Certificate(
        begins=ssl.cert_time_to_seconds(str(seen["notBefore"])),
        ends=ssl.cert_time_to_seconds(str(seen["notAfter"])),
        names=tuple(str(pair[-1]) for pair in seen.get("subjectAltName", ())),
    )
