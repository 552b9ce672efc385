"""Pictures of a training's result, as the bytes of PNG files."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.training.extras import needs_extras

__all__ = ["confusion_matrix_png", "count_confusions"]

_LONG_LABEL = 4
_DARK = 0.5


def count_confusions(truth: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """How often each true class (row) was called each class (column): int64 [classes, classes]."""
    cells = truth * classes + predicted
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes).astype(np.int64)


def confusion_matrix_png(
    truth: NDArray[np.int64], predicted: NDArray[np.int64], labels: Sequence[str], title: str
) -> bytes:
    """A confusion matrix as a PNG: counts in the cells, shaded by the share of the true class.

    Args:
        truth: int64 [n], indices into `labels`.
        predicted: int64 [n], the same.
        labels: the classes' names.
        title: what stands above it.

    Raises:
        FairleadError: FAILED_PRECONDITION when matplotlib is not installed.
    """
    with needs_extras("drawing pictures"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - part of the train extra
        from matplotlib.figure import Figure  # noqa: PLC0415 - part of the train extra

    counts = count_confusions(truth, predicted, len(labels))
    side = max(4.5, 0.55 * len(labels) + 1.5)
    figure = Figure(figsize=(side, side), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    _draw(figure.add_subplot(), counts, labels, title)
    file = io.BytesIO()
    canvas.print_png(file)
    return file.getvalue()


def _draw(axes: Any, counts: NDArray[np.int64], labels: Sequence[str], title: str) -> None:
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    # Mistakes are rare: the square root makes one in a hundred visible beside the diagonal.
    shades = np.sqrt(shares)
    axes.imshow(shades, cmap="Blues", vmin=0.0, vmax=1.0)
    positions = range(len(labels))
    is_long = max(map(len, labels), default=0) > _LONG_LABEL
    axes.set_xticks(positions, labels, rotation=40 if is_long else 0, ha="right" if is_long else "center")
    axes.set_yticks(positions, labels)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title(title)
    for row in positions:
        for column in positions:
            _write(axes, row, column, int(counts[row, column]), is_dark=bool(shades[row, column] > _DARK))


def _write(axes: Any, row: int, column: int, count: int, *, is_dark: bool) -> None:
    colour = "white" if is_dark else "black" if count else "lightgrey"
    axes.text(column, row, f"{count}", ha="center", va="center", color=colour, fontsize=9)
