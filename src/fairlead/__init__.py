"""Fairlead takes a model from training to production and keeps it honest there."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    COMPILING = False  # but to the compiler: it would read all that is behind these, and some of it stops mypy
    if not COMPILING:
        from fairlead.app.publishing import publish
        from fairlead.config import Settings
        from fairlead.errors import FairleadError
        from fairlead.servable.disposable import Limits

__all__ = ["FairleadError", "Limits", "Settings", "publish"]

_PLACES = {
    "FairleadError": "fairlead.errors",
    "Limits": "fairlead.servable.disposable",
    "Settings": "fairlead.config",
    "publish": "fairlead.app.publishing",
}
"""Where each name is, which is imported when it is asked for: every command and every worker imports the package."""


def __getattr__(name: str) -> Any:
    """What this package gives."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)
