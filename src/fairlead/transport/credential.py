"""Where a credential stands in headers or metadata, and what is said over HTTP to whoever shows no good one."""

from __future__ import annotations

from fairlead.access.doorkeeper import Doorkeeper
from fairlead.access.principal import Principal
from fairlead.access.scope import Scope
from fairlead.errors import Code, FairleadError
from fairlead.transport.codes import HTTP_STATUS, HttpError
from fairlead.transport.message import Request

__all__ = ["admit", "credential_in"]

_BEARER = b"bearer "
_CHALLENGE = ((b"www-authenticate", b"Bearer"),)


def credential_in(authorization: bytes, api_key: bytes) -> bytes:
    """The credential of `Authorization: Bearer X`, else of `x-api-key: X`; empty when there is none."""
    if authorization[: len(_BEARER)].lower() == _BEARER:
        return authorization[len(_BEARER) :].strip()
    return api_key


def admit(doorkeeper: Doorkeeper, request: Request, scope: Scope) -> Principal:
    """Who asks. Raises what keeps the request out, if anything does; its body has not been looked at."""
    try:
        return doorkeeper.admit(credential_in(request.header(b"authorization"), request.header(b"x-api-key")), scope)
    except FairleadError as error:
        if error.code is not Code.UNAUTHENTICATED:
            raise
        status = HTTP_STATUS[error.code]
        raise HttpError(status, error.code, error.message, hint=error.hint, headers=_CHALLENGE) from error
