"""What the console asks of the rest: documents to show, and things to do."""

from __future__ import annotations

from typing import Any, Protocol

__all__ = ["Document", "SystemView"]

Document = dict[str, Any]
"""What one page shows, as JSON has it: the page and the program that asks for JSON are told the same."""


class SystemView(Protocol):
    """What can be seen. Each method may take a second, so it is called in a thread."""

    def overview(self) -> Document:
        """What serves, how it does, and what waits for a person."""
