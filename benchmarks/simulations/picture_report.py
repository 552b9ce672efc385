"""`docs/simulations/pictures.md` and the plot beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

from benchmarks.simulations.picture_corruptions import CORRUPTIONS, SEVERITIES, Corruption
from benchmarks.simulations.picture_windows import WINDOW_ROWS, Judged, Model
from fairlead.monitoring.drift.window import DriftState
from fairlead.monitoring.reference_file import CONFIDENCE
from fairlead.servable.features.pictures import PictureFeatures

__all__ = ["Case", "markdown", "missed", "write"]

_MOST_FALSE_ALARMS, _LEAST_FOUND, _LEAST_CLOSE, _LEAST_WARNED = 0.01, 0.99, 0.90, 0.90
_COLOURS = {"shift": "#1f6f8b", "rotate": "#8b5a1f", "blur": "#5a8b1f", "noise": "#8b1f5a", "invert": "#333333"}
_MOST_SD = 5.0

_INTRODUCTION = """\
# Drift of pictures

What Fairlead says of handwritten digits that are shifted, rotated, blurred, noised or inverted on their way to the
model, and how well it estimates the model's accuracy without a label. Written by
`python -m benchmarks.simulations.pictures`.

![Features that move, and estimated beside true accuracy](pictures.png)
"""

_READING = """\
* **found**: windows whose report says `drifted`. **named**: windows whose report names what the corruption moves, in
  the direction in which it moved it; these features stand behind the slash. A picture that is turned is drawn anew
  between its pixels, which blurs it a little: that is why a rotation moves `edges` and `grain` too.
* **accuracy** and **estimate**: true share of right answers, and the estimated one, both as means over the windows.
* **within 5**: windows in which the estimate is within 5 points of the truth. **in range**: windows in which it says
  that it can be relied on. **misled**: windows in which it says so and is further off than 5 points. **interval
  holds**: of the windows in range, those whose true accuracy lies in the interval given with the estimate.
"""


@dataclass(frozen=True, kw_only=True)
class Case:
    """Windows of one corruption at one severity; of plain images when there is none."""

    windows: tuple[Judged, ...]
    corruption: Corruption | None = None
    severity: str = ""

    @property
    def title(self) -> str:
        return f"{self.corruption.name}, {self.severity}" if self.corruption else "plain"

    @property
    def level(self) -> str:
        if self.corruption is None:
            return ""
        level = self.corruption.levels[SEVERITIES.index(self.severity)]
        return f"{level:.0%}" if self.corruption.is_share else f"{level:g}"

    @property
    def found(self) -> float:
        return _share(window.report.state is DriftState.DRIFTED for window in self.windows)

    @property
    def named(self) -> float:
        return _share(window.is_named for window in self.windows)

    @property
    def close(self) -> float:
        return _share(window.is_close for window in self.windows)

    @property
    def in_range(self) -> float:
        return _share(window.estimate.is_in_range for window in self.windows)

    @property
    def misled(self) -> float:
        return _share(window.estimate.is_in_range and not window.is_close for window in self.windows)

    @property
    def covered(self) -> float:
        """Of the windows in range, those whose true accuracy lies within the estimate's interval."""
        inside = (w.estimate.low <= w.accuracy <= w.estimate.high for w in self.windows if w.estimate.is_in_range)
        return _share(inside)


def missed(cases: Sequence[Case]) -> list[str]:
    """A sentence for each bar that is not met."""
    return [f"{bar}: {share:.1%}" for bar, share, is_met in _bars(cases) if not is_met]


def write(model: Model, cases: Sequence[Case], row_cost_us: float, folder: Path) -> None:
    """Write the page and the plot."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pictures.md").write_text(markdown(model, cases, row_cost_us))
    _draw(cases, folder / "pictures.png")


def markdown(model: Model, cases: Sequence[Case], row_cost_us: float) -> str:
    """The page."""
    bars = ([bar, f"{share:.1%}", "met" if is_met else "missed"] for bar, share, is_met in _bars(cases))
    return "\n".join(
        [
            _INTRODUCTION,
            _setting(model, cases, row_cost_us),
            "\n## Bars\n",
            _table(["", "found", ""], bars),
            "\n## What was found\n",
            _table(["", "level", "windows", "found", "named", "most drifted"], map(_drift_row, cases)),
            "\nLevels: " + "; ".join(f"{corruption.name}, {corruption.unit}" for corruption in CORRUPTIONS) + ".",
            "\n## Accuracy without labels\n",
            _table(
                ["", "level", "accuracy", "estimate", "within 5", "in range", "misled", "interval holds"],
                map(_estimate_row, cases),
            ),
            "\n## How to read it\n",
            _READING,
        ]
    )


def _bars(cases: Sequence[Case]) -> Iterator[tuple[str, float, bool]]:
    for case in cases:
        if case.corruption is None:
            yield "plain windows that alarm, at most 1 %", case.found, case.found <= _MOST_FALSE_ALARMS
        elif case.severity == "medium":
            yield f"{case.title}: found, at least 99 %", case.found, case.found >= _LEAST_FOUND
            yield f"{case.title}: named, at least 99 %", case.named, case.named >= _LEAST_FOUND
        elif case.severity == "mild":
            yield f"{case.title}: estimate within 5 points, at least 90 %", case.close, case.close >= _LEAST_CLOSE
    off = [window for case in cases for window in case.windows if not window.is_close]
    if off:
        warned = _share(not window.estimate.is_in_range for window in off)
        yield (
            "of all windows further off, those that say `out of range`, at least 90 %",
            warned,
            warned >= _LEAST_WARNED,
        )


def _setting(model: Model, cases: Sequence[Case], row_cost_us: float) -> str:
    accuracy = float(np.mean([window.accuracy for window in cases[0].windows]))
    return (
        f"Measured on {model.name}, which is right on {accuracy:.1%} of plain images, with {len(model.held_out):,}"
        " held-out images of MNIST. For every ten windows they are cut in half anew: one half makes the reference,"
        f" as training does, and windows of {WINDOW_ROWS} are drawn from the other. Measuring the features took"
        f" {row_cost_us:.1f} microseconds a row, in batches of 16 on one core."
    )


def _drift_row(case: Case) -> list[str]:
    expected = (
        sorted({name for variant in case.corruption.variants for name in variant.moves}) if case.corruption else []
    )
    named = f"{case.named:.1%} / {', '.join(expected)}" if expected else ""
    most = Counter(name for window in case.windows for name in window.report.drifted[:3]).most_common(4)
    return [
        case.title,
        case.level,
        f"{len(case.windows):,}",
        f"{case.found:.1%}",
        named,
        ", ".join(name for name, _ in most),
    ]


def _estimate_row(case: Case) -> list[str]:
    figures = [
        float(np.mean([window.accuracy for window in case.windows])),
        float(np.mean([window.estimate.value for window in case.windows])),
        case.close,
        case.in_range,
        case.misled,
    ]
    return [
        case.title,
        case.level,
        *(f"{figure:.1%}" for figure in figures),
        f"{case.covered:.1%}" if case.in_range else "",
    ]


def _draw(cases: Sequence[Case], path: Path) -> None:
    mpl.use("Agg")
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 6.2), width_ratios=[1.25, 1], layout="constrained")
    _effects(left, cases)
    _estimates(right, cases)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _effects(panel: plt.Axes, cases: Sequence[Case]) -> None:
    """How far each feature moves, as a picture of its own."""
    names = (*PictureFeatures.names, CONFIDENCE)
    effects = np.array([[_effect(case, name) for name in names] for case in cases])
    shown = panel.imshow(
        np.clip(effects, -_MOST_SD, _MOST_SD), cmap="RdBu_r", vmin=-_MOST_SD, vmax=_MOST_SD, aspect="auto"
    )
    for row, line in enumerate(effects):
        for column, value in enumerate(line):
            if abs(value) >= 0.3:  # noqa: PLR2004 - less than that is noise on the page
                colour = "white" if abs(value) > 0.6 * _MOST_SD else "black"
                text = f"{value:+.1f}" if abs(value) < 100 else f"{value:+.0f}"  # noqa: PLR2004 - room for four signs
                panel.text(column, row, text, ha="center", va="center", fontsize=6.5, color=colour)
    panel.set_xticks(range(len(names)), names, rotation=45, ha="right", fontsize=8)
    panel.set_yticks(range(len(cases)), [f"{case.title} {case.level}" for case in cases], fontsize=8)
    panel.set_title(
        "Mean effect of each feature, in standard deviations of the reference",
        loc="left",
        fontsize=9,
    )
    panel.figure.colorbar(shown, ax=panel, shrink=0.6, label="cut at 5")


def _estimates(panel: plt.Axes, cases: Sequence[Case]) -> None:
    for name in ("plain", *_COLOURS):
        windows = [window for case in cases if case.title.startswith(name) for window in case.windows]
        for is_in_range in (True, False):
            some = [window for window in windows if window.estimate.is_in_range is is_in_range]
            panel.scatter(
                [window.accuracy for window in some],
                [window.estimate.value for window in some],
                s=14,
                marker="o" if is_in_range else "x",
                linewidths=0.8,
                alpha=0.6,
                color=_COLOURS.get(name, "#c9a227"),
                label=name if is_in_range else None,
            )
    ends = np.array([0.0, 1.0])
    panel.plot(ends, ends, color="black", linewidth=0.8)
    panel.fill_between(ends, ends - 0.05, ends + 0.05, color="black", alpha=0.1, linewidth=0)
    panel.set(xlim=(0.15, 1.01), ylim=(0.5, 1.01), xlabel="true accuracy of a window", ylabel="estimate without labels")
    panel.set_title("Dots: says in range. Crosses: says out of range. Grey: within 5 points", loc="left", fontsize=9)
    panel.legend(fontsize=8, loc="upper left")


def _effect(case: Case, name: str) -> float:
    """The mean effect; the mean size where windows differ in sign."""
    found = [feature.effect for window in case.windows for feature in window.report.features if feature.feature == name]
    effects: NDArray[np.float64] = np.array(found)
    is_of_one_sign = abs(effects.mean()) > np.abs(effects).mean() / 2
    return float(effects.mean() if is_of_one_sign else np.abs(effects).mean())


def _share(truths: Iterable[bool]) -> float:
    values = list(truths)
    return sum(values) / len(values) if values else 0.0


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])
