"""What the simulation of drift found, as a page and a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

from fairlead.monitoring.drift.thresholds import DriftThresholds
from fairlead.significance.shares import wilson_interval

__all__ = ["Outcome", "Results", "page", "picture"]

_OURS, _LIGHT, _CONTROL, _BAR = "#1f6f8b", "#8ab6c6", "#c0603a", "#333333"
_SHADES = ("#9cc3d1", "#4f93aa", "#124b5f")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One row of the table: how often something happened, and how often it may, should, or must for a control."""

    title: str
    hits: int
    trials: int
    at_most: float | None = None
    at_least: float | None = None
    must_exceed: float | None = None

    @property
    def share(self) -> float:
        """The share of the trials."""
        return self.hits / self.trials

    @property
    def holds(self) -> bool:
        """Whether it is as asked for; what nothing is asked of holds."""
        if self.must_exceed is not None:
            return self.share > self.must_exceed
        if self.at_most is not None:
            return self.share <= self.at_most
        return self.at_least is None or self.share >= self.at_least

    def cells(self) -> tuple[str, str, str, str]:
        """Title, finding with its 95 % interval, bar, and whether it holds."""
        low, high = wilson_interval(self.hits, self.trials)
        found = f"{self.hits:,} of {self.trials:,}: {self.share:.2%} ({low:.2%} to {high:.2%})"
        if self.must_exceed is not None:
            return (
                self.title,
                found,
                f"must exceed {self.must_exceed:.2%}",
                "fails, as it must" if self.holds else "PASSES",
            )
        bar = f"at most {self.at_most:.2%}" if self.at_most is not None else ""
        bar = f"at least {self.at_least:.0%}" if self.at_least is not None else bar
        return self.title, found, bar, ("met" if self.holds else "MISSED") if bar else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """All that was found.

    Attributes:
        seed: of the run.
        outcomes: the rows of the table.
        shifts: in standard deviations.
        power: by rows of a window, for each shift the share of windows in which it was found.
        streams: by rows of a window and autocorrelation, the share of quiet windows with an alarm before and after
            calibration.
        delays, misses: of the sequential detector, rows until it was certain, and from the true row to the named one.
    """

    seed: int
    outcomes: tuple[Outcome, ...]
    shifts: tuple[float, ...]
    power: Mapping[int, tuple[float, ...]]
    streams: Mapping[tuple[int, float], tuple[float, float]]
    delays: tuple[int, ...]
    misses: tuple[int, ...]


def page(results: Results, seconds: float) -> str:
    """The page, in Markdown."""
    thresholds = DriftThresholds()
    rows = "\n".join(f"| {' | '.join(outcome.cells())} |" for outcome in results.outcomes)
    delays, misses = np.array(results.delays or (0,)), np.abs(results.misses or (0,))
    return f"""# Drift: how often the detectors are wrong, and what they find

Thirty features of a table, 22 of numbers (normal, log-normal, exponential, uniform, counts, mostly zero, with nulls)
and 8 of categories (2 to 400 of them); references of 10,000 rows, drawn anew every 20 windows. Each is judged by
`judge_window`. Written by `python -m benchmarks.simulations.drift` with the seed {results.seed} in {seconds:.0f} s.

![False alarms, what is found, calibration, and where a change began](drift.png)

| what | found (95 % interval) | bar |  |
| --- | --- | --- | --- |
{rows}

The sequential detector was certain of a rise by 0.3 sd after {np.median(delays):.0f} rows (median; nine of ten within
{np.quantile(delays, 0.9):.0f}), and the row it named as the first was {np.median(misses):.0f} rows off (median; nine
of ten within {np.quantile(misses, 0.9):.0f}).

## Why the thresholds are what they are

* **{thresholds.false_discovery_rate:.1%} over all features together** (Benjamini and Hochberg). What is promised is one
  quiet window in a hundred, and 10,000 windows prove it only when at most 83 alarm. Half the rate leaves room for the
  clusters of alarms that an unlucky reference makes. The p-values err to the quiet side, since the two tests that share
  a feature's values see much of the same.
* **Two tests of the numbers**, the smaller p-value doubled: Kolmogorov-Smirnov for a level that moved, chi-squared over
  the ten bins of the index for a spread that grew, which the first hardly sees.
* **An index of at least {thresholds.min_psi} above what counting alone gives**, (bins - 1) (1 / n + 1 / m). A fixed
  limit on the index itself measures the size of the window: see the control. 0.3 sd has an index of 0.086 and 0.2 sd
  one of 0.038, so that the floor lies just above what a large window would otherwise report for ever. A distance of
  {thresholds.min_distance} will do as well: rows that leave a frequent value for the gap beside it may leave the index
  at 0.
* **Or {100 * thresholds.min_share_change:.1f} points of one category's share.** From 10 % to 15 % is an index of 0.023
  only. A test of each category beside the chi-squared test finds the one that moved among ten.
* **A category, or a null, that the reference never had is drift at once** when the chance that it was only missing
  there is at most {thresholds.never_seen_alpha:.1%}: three rows of 1,000 after none of 10,000. One row is not, or rare
  words would raise alarms for ever.
* **{thresholds.min_rows} rows at least.** With fewer the same change is found in too few windows to rely on.
* **Calibration** counts rows by what they say. Of an autocorrelated stream (phi 0.6) about three rows and a half say as
  much as one; without it the alarms are those in the table, and the more rows a window has the fewer pass the floor.
"""


def picture(results: Results, path: Path) -> None:
    """Four panels: false alarms, what is found by size, calibration, and the row at which a change began."""
    mpl.use("Agg")
    figure, panels = plt.subplots(2, 2, figsize=(11, 8), layout="constrained")
    _alarms(panels[0, 0], results)
    _power(panels[0, 1], results)
    _calibration(panels[1, 0], results)
    _began(panels[1, 1], results)
    for panel in panels.flat:
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelsize=8)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _alarms(panel: plt.Axes, results: Results) -> None:
    shown = [
        outcome
        for outcome in results.outcomes
        if outcome.must_exceed is not None or (outcome.at_most is not None and "30 features" in outcome.title)
    ]
    least = 0.3 / max(outcome.trials for outcome in shown)
    drawn = panel.barh(
        [outcome.title.replace(", ", ",\n", 1) for outcome in shown],
        [max(outcome.share, least) for outcome in shown],
        color=[_OURS if outcome.must_exceed is None else _CONTROL for outcome in shown],
    )
    panel.bar_label(drawn, [f" {outcome.share:.2%}" for outcome in shown], fontsize=8)
    panel.axvline(0.01, color=_BAR, linestyle="--", linewidth=1)
    panel.set_xscale("log")
    panel.set_xlim(least, 4.0)
    panel.invert_yaxis()
    panel.set_xlabel("share of quiet windows with an alarm (dashed: 1 %)", fontsize=9)
    panel.set_title("False alarms over all features together", loc="left", fontsize=10)


def _power(panel: plt.Axes, results: Results) -> None:
    for colour, (rows, found) in zip(_SHADES, results.power.items(), strict=True):
        panel.plot(results.shifts, found, marker="o", markersize=4, color=colour, label=f"{rows:,} rows")
    panel.plot([0.3], [0.95], marker="_", markersize=18, color=_BAR)
    panel.text(0.325, 0.945, "asked for in 1,000 rows: 95 %", fontsize=8, va="center")
    panel.set_ylim(-0.02, 1.04)
    panel.set_xlabel("rise of 1 of 30 features, in standard deviations", fontsize=9)
    panel.set_ylabel("share of windows that name it", fontsize=9)
    panel.legend(fontsize=8, frameon=False)
    panel.set_title("What is found", loc="left", fontsize=10)


def _calibration(panel: plt.Axes, results: Results) -> None:
    phis = sorted({phi for _, phi in results.streams})
    for style, rows in zip((":", "-"), sorted({rows for rows, _ in results.streams}), strict=True):
        before, after = zip(*(results.streams[rows, phi] for phi in phis), strict=True)
        panel.plot(phis, before, style, marker="o", markersize=4, color=_CONTROL, label=f"before, {rows:,} rows")
        panel.plot(phis, after, style, marker="o", markersize=4, color=_OURS, label=f"after, {rows:,} rows")
    panel.axhline(0.02, color=_BAR, linestyle="--", linewidth=1)
    panel.set_yscale("symlog", linthresh=0.01)
    panel.set_ylim(-0.001, 1.3)
    panel.set_yticks([0, 0.01, 0.02, 0.1, 1], ["0", "1 %", "2 %", "10 %", "100 %"])
    panel.set_xticks(phis)
    panel.set_xlabel("autocorrelation of neighbouring rows", fontsize=9)
    panel.set_ylabel("share of quiet windows with an alarm", fontsize=9)
    panel.legend(fontsize=8, frameon=False, loc="upper left")
    panel.set_title("Calibration on the stream's own past (dashed: 2 %)", loc="left", fontsize=10)


def _began(panel: plt.Axes, results: Results) -> None:
    bins = np.arange(-400, 801, 25).tolist()
    panel.hist(np.clip(results.misses, -400, 800), bins=bins, color=_OURS, label="the row it names")
    panel.hist(np.clip(results.delays, -400, 800), bins=bins, color=_LIGHT, alpha=0.8, label="the row it is certain at")
    panel.axvline(0, color=_BAR, linestyle="--", linewidth=1)
    panel.set_xlabel("rows after the true change of 0.3 sd (dashed)", fontsize=9)
    panel.set_ylabel("streams", fontsize=9)
    panel.legend(fontsize=8, frameon=False)
    panel.set_title("When a change began", loc="left", fontsize=10)
