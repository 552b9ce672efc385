"""Which framework a trained object is of, told by where its class or a base is from; nothing is imported for it."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from fairlead.conversion.original import Original
from fairlead.errors import Code, FairleadError

__all__ = ["original_of"]

_ADAPTERS: Final[Mapping[str, str]] = MappingProxyType(
    {"keras": "keras", "torch": "torch", "xgboost": "xgboost", "lightgbm": "lightgbm", "sklearn": "scikit_learn"}
)
"""The module of this room that knows what the objects of a package are."""


def original_of(model: Any, sample: Any) -> Original:
    """The trained object `model` with a sample of what it will be asked.

    Raises:
        FairleadError: UNIMPLEMENTED for an object of another framework, and what the adapter raises for this one.
    """
    for kind in type(model).__mro__:
        adapter = _ADAPTERS.get(kind.__module__.partition(".")[0])
        if adapter is not None:
            made: Original = importlib.import_module(f"{__package__}.{adapter}").original(model, sample)
            return made
    kind = type(model)
    raise FairleadError(
        Code.UNIMPLEMENTED,
        f"a {kind.__module__}.{kind.__qualname__} is of no framework that is known here",
        hint=f"known are objects of {', '.join(_ADAPTERS)}; fairlead import takes ONNX files of any",
    )
