"""Who it is that does something."""

from __future__ import annotations

import getpass

__all__ = ["user_name"]


def user_name() -> str:
    """Whoever runs this."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return "unknown"
