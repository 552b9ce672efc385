"""Which requests go to the candidate. Pure: a key goes the same way in every process, on every host, at any time."""

from __future__ import annotations

from hashlib import blake2b

__all__ = ["place"]

_BITS = 64


def place(salt: str, key: str) -> float:
    """Where `key` lies among all keys: a number from 0 up to 1, which differs from salt to salt.

    Keys below a candidate's weight are its own: as the weight grows, those that it has stay with it.

    >>> round(place("a", "user-1"), 6), round(place("b", "user-1"), 6)
    (0.545426, 0.832306)
    """
    digest = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=_BITS // 8, key=salt.encode()[:64]).digest()
    return (int.from_bytes(digest, "big") >> 11) / 9007199254740992.0  # 53 bits, which a float holds exactly
