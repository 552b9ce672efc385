"""What one client may take of the server, and for how long."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Every wait has an end that no trickle of bytes moves.

    Attributes:
        connections: how many are open at once; further ones are refused.
        header_timeout_s: from the connection, or from a later request's first byte, to the end of its header.
        body_timeout_s: from the end of the header to the end of the body.
        idle_timeout_s: how long a connection is kept between requests.
        write_timeout_s: how long a client may leave an answer unread.
        linger_s: how long a client that was told to go may go on sending. Closing at once would reset the connection
            under the answer.
        settle_s: how long an HTTP/2 client that has just come may take to send its first request before it can be
            told to go.
    """

    connections: int = 8192
    header_timeout_s: float = 10.0
    body_timeout_s: float = 30.0
    idle_timeout_s: float = 75.0
    write_timeout_s: float = 60.0
    linger_s: float = 2.0
    settle_s: float = 1.0
