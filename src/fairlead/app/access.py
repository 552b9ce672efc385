"""Who may call the public ports, put together from the home and the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping

from fairlead.access.doorkeeper import Doorkeeper
from fairlead.access.environment import environment_key, token_secret
from fairlead.access.followed_keys import FollowedKeys
from fairlead.access.key import FixedKey
from fairlead.access.key_file import KeyFile
from fairlead.access.principal import Credentials
from fairlead.access.scope import Scope
from fairlead.config import Settings
from fairlead.errors import Code, FairleadError

__all__ = ["open_doorkeeper"]


def open_doorkeeper(settings: Settings, console_key: str, environ: Mapping[str, str] = os.environ) -> Doorkeeper | None:
    """What judges credentials; None when there is no key of any kind, and whoever reaches the ports may call them.

    Args:
        settings: where the home is.
        console_key: by which the server's own console is known; empty where there is none.
        environ: where `API_KEY` and `JWT_SECRET_KEY` may be.

    Raises:
        FairleadError: when keys are meant to be there and cannot be read, or tokens and their library is not.
    """
    kinds: list[Credentials] = []
    if (key := environment_key(environ)) is not None:
        kinds.append(key)
    if (secret := token_secret(environ)) or settings.jwks_file:
        kinds.append(_tokens(settings, secret))
    file = KeyFile(settings.keys_path)
    if file.stamp() is not None:
        kinds.append(FollowedKeys(file))
    if not kinds:
        return None
    if console_key:
        kinds.append(FixedKey("console", console_key, frozenset({Scope.PREDICT, Scope.FEEDBACK})))
    return Doorkeeper(kinds)


def _tokens(settings: Settings, secret: str) -> Credentials:
    try:
        from fairlead.access.tokens import Tokens, read_jwks  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise FairleadError(
            Code.FAILED_PRECONDITION,
            f"tokens are to be judged, and their library is not installed: {error}",
            hint="pip install 'fairlead[access]'",
        ) from error
    public_keys = read_jwks(settings.jwks_file) if settings.jwks_file else None
    return Tokens(secret, public_keys, audience=settings.jwt_audience)
