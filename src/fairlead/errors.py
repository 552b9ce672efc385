"""Every error that Fairlead raises on purpose: a canonical code, a sentence, and the next step.

The codes are the sixteen canonical ones that gRPC and TensorFlow Serving use. Only a transport
knows which HTTP or gRPC number a code becomes.
"""

from __future__ import annotations

import enum
from typing import Any

__all__ = ["Code", "FairleadError", "OverloadError", "RateLimitError"]


class Code(enum.StrEnum):
    """What went wrong, in the canonical words."""

    CANCELLED = "CANCELLED"
    UNKNOWN = "UNKNOWN"
    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    NOT_FOUND = "NOT_FOUND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    RESOURCE_EXHAUSTED = "RESOURCE_EXHAUSTED"
    FAILED_PRECONDITION = "FAILED_PRECONDITION"
    ABORTED = "ABORTED"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    UNIMPLEMENTED = "UNIMPLEMENTED"
    INTERNAL = "INTERNAL"
    UNAVAILABLE = "UNAVAILABLE"
    DATA_LOSS = "DATA_LOSS"
    UNAUTHENTICATED = "UNAUTHENTICATED"


class FairleadError(Exception):
    """An error a person or a program can act on.

    Args:
        code: the canonical code.
        message: one sentence that names the offending value.
        hint: the next thing to try, a command where there is one. Empty when the message says it.
    """

    def __init__(self, code: Code, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        """How it is pickled; by its arguments alone, as other exceptions are, it could not be made again."""
        return _made_again, (type(self), self.args), self.__dict__


class OverloadError(FairleadError):
    """Nothing is wrong with the request: there is too much to do just now. It may be tried again.

    Args:
        message: as for every error.
        reason: the bound that was met, in a word that metrics can count by.
        hint: as for every error.
    """

    def __init__(self, message: str, *, reason: str, hint: str = "") -> None:
        super().__init__(Code.RESOURCE_EXHAUSTED, message, hint=hint)
        self.reason = reason


class RateLimitError(FairleadError):
    """Whoever asks has had as much as they may have for now.

    Args:
        message: as for every error.
        reason: whose limit was met, in a word that metrics can count by.
        retry_after_s: in how many seconds they may have more.
    """

    def __init__(self, message: str, *, reason: str, retry_after_s: float) -> None:
        super().__init__(Code.RESOURCE_EXHAUSTED, message, hint=f"try again in {retry_after_s:.3g} s")
        self.reason = reason
        self.retry_after_s = retry_after_s


def _made_again(kind: type[FairleadError], arguments: tuple[str, ...]) -> FairleadError:
    return kind.__new__(kind, *arguments)
