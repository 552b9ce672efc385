"""What a credential is good for."""

from __future__ import annotations

import enum
from collections.abc import Iterable

from fairlead.errors import Code, FairleadError

__all__ = ["Scope", "parse_scopes", "with_implied"]


class Scope(enum.StrEnum):
    """One kind of request."""

    PREDICT = "predict"
    """Predict, and see what there is to predict with."""
    FEEDBACK = "feedback"
    """Say what was true of predictions."""
    METRICS = "metrics"
    """Read what the server counts and how it is, on either port."""
    ADMIN = "admin"
    """Load, unload and configure models; it implies all the others."""


def parse_scopes(words: Iterable[str]) -> frozenset[Scope]:
    """The scopes that the words name.

    Raises:
        FairleadError: INVALID_ARGUMENT for a word that is none, or for no word at all.
    """
    known = [scope.value for scope in Scope]
    words = list(words)
    for word in words or [""]:
        if word not in known:
            raise FairleadError(
                Code.INVALID_ARGUMENT, f"{word!r:.80} is no scope", hint=f"there are: {', '.join(known)}"
            )
    return frozenset(map(Scope, words))


def with_implied(scopes: frozenset[Scope]) -> frozenset[Scope]:
    """The scopes and those that they imply."""
    return frozenset(Scope) if Scope.ADMIN in scopes else scopes
