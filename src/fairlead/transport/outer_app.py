"""An application around another."""

from __future__ import annotations

from fairlead.transport.connection import App

__all__ = ["OuterApp"]


class OuterApp:
    """What an application that only adds to another's answers has in common with it.

    Args:
        app: the one inside.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self.max_body_bytes = app.max_body_bytes

    @property
    def draining(self) -> bool:
        """Whether every answer must be the last on its connection."""
        return self._app.draining

    @draining.setter
    def draining(self, value: bool) -> None:
        self._app.draining = value
