"""The version that a path names."""

from __future__ import annotations

from fairlead.errors import Code, FairleadError
from fairlead.servable.identity import MAX_VERSION

__all__ = ["path_version"]

_SHOWN_CHARS = 1024
_DIGITS = 19


def path_version(digits: str | None) -> int | None:
    """The number that `digits` write, leading zeros and all; None stays None.

    Raises:
        FairleadError: INVALID_ARGUMENT when 64 bits do not hold it.
    """
    if digits is None:
        return None
    significant = digits.lstrip("0")
    if len(significant) > _DIGITS or int(significant or 0) > MAX_VERSION:
        raise FairleadError(Code.INVALID_ARGUMENT, f"Version {digits[:_SHOWN_CHARS]} is beyond 64 bits")
    return int(significant or 0)
