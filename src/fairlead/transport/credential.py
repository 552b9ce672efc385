"""Where a credential stands in headers or metadata."""

from __future__ import annotations

__all__ = ["credential_in"]

_BEARER = b"bearer "


def credential_in(authorization: bytes, api_key: bytes) -> bytes:
    """The credential of `Authorization: Bearer X`, else of `x-api-key: X`; empty when there is none."""
    if authorization[: len(_BEARER)].lower() == _BEARER:
        return authorization[len(_BEARER) :].strip()
    return api_key
