"""Which versions of a plain model should be up. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from fairlead.errors import Code, FairleadError

__all__ = ["LATEST", "VersionPolicy"]

_TEXT = re.compile(r"latest(?::([1-9][0-9]{0,9}))?|all|specific:((?:[0-9]{1,19}(?:,[0-9]{1,19})*)?)", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionPolicy:
    """TensorFlow Serving's three policies.

    Attributes:
        latest: the versions with the highest numbers, so many of them; None for all.
        specific: these versions and no others, where they are there; None when the numbers decide.
    """

    latest: int | None = 1
    specific: frozenset[int] | None = None

    def choose(self, versions: Collection[int]) -> frozenset[int]:
        """The versions that should be up, of those that are there.

        >>> sorted(VersionPolicy(latest=2).choose([1, 5, 3]))
        [3, 5]
        """
        if self.specific is not None:
            return self.specific.intersection(versions)
        newest = sorted(versions, reverse=True)
        return frozenset(newest if self.latest is None else newest[: self.latest])

    def __str__(self) -> str:
        """What `parse` reads."""
        if self.specific is not None:
            return f"specific:{','.join(map(str, sorted(self.specific)))}"
        return "all" if self.latest is None else f"latest:{self.latest}"

    @staticmethod
    def parse(text: str) -> VersionPolicy:
        """The policy that `text` names: "latest", "latest:2", "all" or "specific:3,7"; "specific:" chooses none.

        Raises:
            FairleadError: INVALID_ARGUMENT when it names none.
        """
        match = _TEXT.fullmatch(text)
        if not match:
            raise FairleadError(
                Code.INVALID_ARGUMENT,
                f"{text[:80]!r} is not a version policy",
                hint="latest, latest:2, all or specific:3,7 (--version-policy, FAIRLEAD_VERSION_POLICY)",
            )
        if match[2] is not None:
            return VersionPolicy(specific=frozenset(map(int, filter(None, match[2].split(",")))))
        return VersionPolicy(latest=None if text == "all" else int(match[1] or 1))


LATEST = VersionPolicy()
"""The newest version alone."""
