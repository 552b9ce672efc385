"""What the gate asks for, as numbers: one place, with the reason for each default."""

from __future__ import annotations

from dataclasses import dataclass

from fairlead.errors import Code, FairleadError

__all__ = ["Thresholds"]

_SHARES = ("min_accuracy", "min_class_recall", "champion_alpha", "max_share_excess")
_TOLERANCES = ("export_tolerance", "sum_tolerance")
_ROWS = ("min_train_rows", "min_train_rows_per_class", "min_held_out_rows", "min_held_out_rows_per_class")


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Where each check draws its line. A figure that equals its threshold passes.

    Attributes:
        min_accuracy: least share of held-out rows the candidate gets right.
        min_class_recall: least share of each class's held-out rows the candidate gets right.
        champion_alpha: largest chance of refusing a candidate that is as good as the champion.
        max_share_excess: most that the predicted share of any class may exceed its true share.
        export_tolerance: largest absolute difference of one probability after export.
        sum_tolerance: largest distance of a row's probabilities from a sum of 1.
        min_train_rows: fewest training rows.
        min_train_rows_per_class: fewest training rows of each class.
        min_held_out_rows: fewest held-out rows on which a share is judged at all.
        min_held_out_rows_per_class: fewest held-out rows on which one class is judged at all.
    """

    # Three errors in a hundred: a classic network on handwritten digits, and a linear model on spam, do better.
    min_accuracy: float = 0.97
    # Below the floor on the whole, since a rare class is harder and its share is measured on fewer rows, but high
    # enough that no class is given up to save the average.
    min_class_recall: float = 0.90
    # The usual one in twenty; a refused good candidate costs one more training run, a worse model costs users.
    champion_alpha: float = 0.05
    # The excess never exceeds the share of wrong rows, so a healthy model stays far below a tenth even where the
    # accuracy floor was lowered. A constant answer exceeds it unless one class holds nine rows in ten, and then
    # the classes that are never predicted give it away.
    max_share_excess: float = 0.10
    # A float32 network differs by some 1e-6 after export; a lost transform or a wrong layer differs by 1e-2 or more.
    export_tolerance: float = 1e-5
    # float32 rounding over a thousand classes stays below 1e-4; outputs that are not normalised miss by far more.
    sum_tolerance: float = 1e-3
    # Fewer rows are a demonstration, not a training set.
    min_train_rows: int = 200
    # Fewer examples of a class are learnt by heart.
    min_train_rows_per_class: int = 20
    # At an accuracy of 97 % the 95 % interval of 300 rows is about two points wide on either side.
    min_held_out_rows: int = 300
    # With 20 rows the floor of 90 % allows two wrong ones; with fewer a single row decides.
    min_held_out_rows_per_class: int = 20

    def __post_init__(self) -> None:
        for name in _SHARES:
            self._require(name, 0.0 <= getattr(self, name) <= 1.0, "is not a share from 0 to 1")
        for name in _TOLERANCES:
            self._require(name, 0.0 <= getattr(self, name) < float("inf"), "is not a finite number of at least 0")
        for name in _ROWS:
            self._require(name, getattr(self, name) >= 1, "would let an empty set pass: at least 1 is needed")

    def _require(self, name: str, holds: bool, complaint: str) -> None:
        if not holds:
            raise FairleadError(Code.INVALID_ARGUMENT, f"threshold {name} {complaint}: {getattr(self, name)}")
