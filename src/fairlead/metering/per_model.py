"""The limits of models, as settings have them: by name, and one for all others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from fairlead.metering.quota import Quota
from fairlead.metering.rate import Rate

__all__ = ["per_model"]

Limit = TypeVar("Limit", Rate, Quota)


def per_model(texts: Iterable[str], kind: type[Limit]) -> dict[str, Limit]:
    """Each model's limit, of `MODEL=LIMIT`; that of all others, of `LIMIT` alone, is under the empty name.

    Raises:
        ValueError: when one is none, or a model has two.
    """
    limits: dict[str, Limit] = {}
    for text in texts:
        model, has_model, limit = text.rpartition("=")
        if model in limits or (has_model and not model):
            word = kind.__name__.upper()
            raise ValueError(f"{text!r:.80}: must be MODEL={word}, each model once, or {word} for all others")
        limits[model] = kind.parse(limit)
    return limits
