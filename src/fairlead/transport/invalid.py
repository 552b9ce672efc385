"""The commonest refusal."""

from __future__ import annotations

from fairlead.errors import Code, FairleadError

__all__ = ["invalid"]


def invalid(message: str) -> FairleadError:
    """The client's fault, in a sentence."""
    return FairleadError(Code.INVALID_ARGUMENT, message)
