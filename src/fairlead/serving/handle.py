"""A request's hold on a version: while it is held, nothing takes the version away."""

from __future__ import annotations

from collections.abc import Callable

from fairlead.servable.manifest import Manifest
from fairlead.servable.servable import Servable

__all__ = ["Handle"]


class Handle:
    """Pins one loaded version until `release`, which may be called from any thread and counts once.

    Args:
        servable: answers.
        manifest: of it.
        let_go: called once by `release`.
        arm: `stable`, `candidate` or `shadow`; empty when the caller asked for a version or a label.
        is_tried: whether a candidate is being tried now, so that each answer is evidence.
        shadow: a hold on the candidate that gets a copy of this request.
    """

    __slots__ = ("_let_go", "arm", "is_tried", "manifest", "servable", "shadow")

    def __init__(
        self,
        servable: Servable,
        manifest: Manifest,
        let_go: Callable[[], None],
        arm: str = "",
        *,
        is_tried: bool = False,
        shadow: Handle | None = None,
    ) -> None:
        self.servable = servable
        self.manifest = manifest
        self.arm = arm
        self.is_tried = is_tried
        self.shadow = shadow
        self._let_go: Callable[[], None] | None = let_go

    def release(self) -> None:
        let_go, self._let_go = self._let_go, None
        if let_go is not None:
            let_go()
