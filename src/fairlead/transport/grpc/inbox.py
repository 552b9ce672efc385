"""Messages as they arrive, piece by piece, and how much memory they may take."""

from __future__ import annotations

from fairlead.errors import Code, FairleadError, OverloadError
from fairlead.transport.invalid import invalid

__all__ = ["PREFIX_SIZE", "Budget", "Inbox", "Received", "too_large"]

Received = tuple[bool, bytes]
"""Whether a message is compressed, and its bytes."""

PREFIX_SIZE = 5
"""One byte that says whether the message is compressed, four with its length."""


def too_large(what: str, max_bytes: int) -> FairleadError:
    """The refusal of a message beyond the limit."""
    return FairleadError(
        Code.RESOURCE_EXHAUSTED,
        f"{what} is larger than {max_bytes} bytes, the limit that FAIRLEAD_MAX_BODY_BYTES sets",
        hint="send fewer rows in one request, or raise FAIRLEAD_MAX_BODY_BYTES",
    )


class Budget:
    """The memory that all unfinished messages of a server share."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._held = 0

    def take(self, size: int) -> None:
        """Hold `size` bytes more.

        Raises:
            OverloadError: when there is no room for them.
        """
        if self._held + size > self._size:
            raise OverloadError(
                f"messages that are being received hold {self._held} bytes, and {size} more do not fit",
                reason="memory",
                hint="try again shortly",
            )
        self._held += size

    def give_back(self, size: int) -> None:
        """Hold `size` bytes less."""
        self._held -= size


class Inbox:
    """What came of one call's messages and was not taken yet. Memory is asked for before a message has come.

    Args:
        budget: where it comes from.
        max_bytes: the largest message.
    """

    __slots__ = ("_budget", "_data", "_held", "_max_bytes")

    def __init__(self, budget: Budget, max_bytes: int) -> None:
        self._budget = budget
        self._max_bytes = max_bytes
        self._data = bytearray()
        self._held = 0

    def add(self, payload: bytes) -> None:
        """Take in a piece of what the client sent.

        Raises:
            FairleadError: RESOURCE_EXHAUSTED for a message that is too large or when memory is short,
                INVALID_ARGUMENT for what is no message.
        """
        self._data += payload
        self.settle()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is here."""
        return not self._data

    @property
    def missing(self) -> int:
        """How many bytes the first message lacks; below 0 when there is more behind it. Nothing lacks nothing."""
        return self._end() - len(self._data) if self._data else 0

    def take(self) -> Received | None:
        """The first message, and whether it is compressed; None while it is not complete.

        Raises:
            FairleadError: as `add`.
        """
        end = self._end()
        if len(self._data) < end:
            return None
        with memoryview(self._data) as view:
            message = bytes(view[PREFIX_SIZE:end])
        is_compressed = bool(self._data[0])
        del self._data[:end]
        return is_compressed, message

    def settle(self) -> None:
        """Hold as much memory as is needed now: a message that was taken is nobody's any more."""
        self._hold(len(self._data) + max(0, self.missing))

    def clear(self) -> None:
        """Forget everything."""
        self._data.clear()
        self._hold(0)

    def _end(self) -> int:
        """Where the first message ends, as far as that is known."""
        if len(self._data) < PREFIX_SIZE:
            return PREFIX_SIZE
        if self._data[0] > 1:
            raise invalid(f"a message begins with {self._data[0]}, which is neither 0 nor 1")
        size = int.from_bytes(self._data[1:PREFIX_SIZE], "big")
        if size > self._max_bytes:
            raise too_large(f"The message of {size} bytes", self._max_bytes)
        return PREFIX_SIZE + size

    def _hold(self, size: int) -> None:
        if size > self._held:
            self._budget.take(size - self._held)
        else:
            self._budget.give_back(self._held - size)
        self._held = size
