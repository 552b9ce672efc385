"""Fairlead takes a model from training to production and keeps it honest there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairlead.app.publishing import publish

__all__ = ["publish"]


def __getattr__(name: str) -> Any:
    """What this package gives, imported when it is asked for: every command imports the package."""
    if name == "publish":
        from fairlead.app.publishing import publish  # noqa: PLC0415 - see above

        return publish
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
