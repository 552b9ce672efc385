"""Fairlead takes a model from training to production and keeps it honest there."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    COMPILING = False  # but to the compiler: it would read all that is behind these, and some of it stops mypy
    if not COMPILING:
        from fairlead.app.publishing import publish
        from fairlead.client.async_client import AsyncClient
        from fairlead.client.client import Client
        from fairlead.client.question import Prediction
        from fairlead.config import Settings
        from fairlead.errors import FairleadError
        from fairlead.servable.disposable import Limits

__all__ = ["AsyncClient", "Client", "FairleadError", "Limits", "Prediction", "Settings", "publish"]

_PLACES = {
    "AsyncClient": "fairlead.client.async_client",
    "Client": "fairlead.client.client",
    "FairleadError": "fairlead.errors",
    "Limits": "fairlead.servable.disposable",
    "Prediction": "fairlead.client.question",
    "Settings": "fairlead.config",
    "publish": "fairlead.app.publishing",
}
"""Where each name is, which is imported when it is asked for: every command and every worker imports the package."""

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # else ONNX Runtime tells its maker how it is used


def __getattr__(name: str) -> Any:
    """What this package gives."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)
