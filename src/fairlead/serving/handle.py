"""A request's hold on a version: while it is held, nothing takes the version away."""

from __future__ import annotations

from collections.abc import Callable

from fairlead.servable.manifest import Manifest
from fairlead.servable.servable import Servable

__all__ = ["Handle"]


class Handle:
    """Pins one loaded version until `release`, which may be called from any thread and counts once."""

    __slots__ = ("_let_go", "manifest", "servable")

    def __init__(self, servable: Servable, manifest: Manifest, let_go: Callable[[], None]) -> None:
        self.servable = servable
        self.manifest = manifest
        self._let_go: Callable[[], None] | None = let_go

    def release(self) -> None:
        let_go, self._let_go = self._let_go, None
        if let_go is not None:
            let_go()
