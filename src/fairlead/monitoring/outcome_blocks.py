"""Outcomes of two arms, put into blocks that can be bet on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_PENDING", "OutcomeBlocks"]

# An arm that gets no outcomes must not let the other's pile up without end; 4,096 are 41 blocks at a weight of 1 %.
MAX_PENDING = 4096
_HALF = 0.5

# Keeps blocks of nine at a weight of 10 % where floating point says 8.999...
_ROUNDING = 1e-9


@dataclass(slots=True, kw_only=True)
class OutcomeBlocks:
    """Outcomes of predictions routed under one weight that no block has used yet, in the order they came."""

    weight: float
    blocks: int = 0
    candidate: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    good: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))

    def append(self, candidate: NDArray[np.bool_], good: NDArray[np.bool_]) -> None:
        """These came next."""
        self.candidate, self.good = np.concatenate((self.candidate, candidate)), np.concatenate((self.good, good))

    def lacks_an_arm(self, candidate: NDArray[np.bool_]) -> bool:
        """Whether no block could close even with these: all outcomes are of one arm."""
        return len(np.unique(np.concatenate((self.candidate, candidate)))) <= 1

    def trim(self) -> None:
        """Keep the latest alone."""
        self.candidate, self.good = self.candidate[-MAX_PENDING:], self.good[-MAX_PENDING:]

    def take(self) -> NDArray[np.int64]:
        """The blocks that are whole now, as rows of (stable n, stable good, candidate n, candidate good).

        A block is whole once it has its due of the more plentiful arm, or what has come of it when the next outcome
        of the scarcer arm is there: evidence must not wait because chance sent the plentiful arm elsewhere.
        """
        if self.lacks_an_arm(self.candidate):
            return np.zeros((0, 4), np.int64)
        is_scarcer = self.candidate if self.weight <= _HALF else ~self.candidate
        came = np.cumsum(~is_scarcer)
        used = self._used(came[is_scarcer].tolist(), int(came[-1]))
        ends = np.cumsum([0, *used])
        plentiful, scarcer = self.good[~is_scarcer], self.good[is_scarcer]
        sides = (np.diff(ends), _sums(plentiful, ends), np.ones(len(used), np.int64), scarcer[: len(used)])
        left = np.where(is_scarcer, np.cumsum(is_scarcer) > len(used), came > ends[-1])
        self.blocks += len(used)
        self.candidate, self.good = self.candidate[left], self.good[left]
        return np.stack(sides if self.weight <= _HALF else sides[2:] + sides[:2], axis=1).astype(np.int64)

    def _used(self, came: list[int], came_in_all: int) -> list[int]:
        """Outcomes of the plentiful arm in each whole block; `came` is how many there were at each scarcer one."""
        scarcer_share = min(self.weight, 1.0 - self.weight)
        dues = np.diff(np.floor(np.arange(self.blocks, self.blocks + len(came) + 1) / scarcer_share + _ROUNDING)) - 1.0
        used, total = [], 0
        for due, came_by_next in zip(dues.astype(np.int64).tolist(), [*came[1:], None], strict=True):
            take = due if came_by_next is None else min(max(came_by_next - total, 1), due)
            if total + take > came_in_all:
                break
            used.append(take)
            total += take
        return used

    def to_json(self) -> dict[str, Any]:
        return {
            "weight": self.weight,
            "blocks": self.blocks,
            "candidate": _bits(self.candidate),
            "good": _bits(self.good),
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        return cls(
            weight=document["weight"],
            blocks=document["blocks"],
            candidate=_from_bits(document["candidate"]),
            good=_from_bits(document["good"]),
        )


def _sums(outcomes: NDArray[np.bool_], ends: NDArray[np.int64]) -> NDArray[np.int64]:
    total: NDArray[np.int64] = np.concatenate(([0], np.cumsum(outcomes, dtype=np.int64)))
    return np.diff(total[ends])


def _bits(outcomes: NDArray[np.bool_]) -> str:
    return "".join("1" if good else "0" for good in outcomes.tolist())


def _from_bits(bits: str) -> NDArray[np.bool_]:
    return np.array([bit == "1" for bit in bits], np.bool_)
