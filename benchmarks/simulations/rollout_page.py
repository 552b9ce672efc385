"""What the simulation of rollouts found, as a page and a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

__all__ = ["Outcome", "Results", "page", "picture"]

_COLOURS = {"Fairlead": "#1f6f8b", "peeking z": "#c0603a", "normal mSPRT": "#d9a05b"}
_BAR = "#333333"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One row of the table.

    Attributes:
        bar: which promise it belongs to.
        title: what was tried.
        found: what happened.
        asked: what should.
        holds: whether it did; None where nothing is promised.
    """

    bar: str
    title: str
    found: str
    asked: str
    holds: bool | None

    @property
    def verdict(self) -> str:
        if self.holds is None:
            return ""
        if self.bar == "control":
            return "fails, as it must" if self.holds else "PASSES"
        return "met" if self.holds else "MISSED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """All that was found.

    Attributes:
        runs: rollouts a setting.
        outcomes: the rows of the table.
        same_arms: by accuracy and weight, what each rule rolled back of canaries as good as the stable version.
        losses: by title, the candidate's labels until the rollback.
        catches: by title, the candidate's requests until the rollback.
        triggers: by accuracy, labels from a loss of ten points to the trigger.
    """

    runs: int
    outcomes: tuple[Outcome, ...]
    same_arms: Mapping[tuple[float, float], dict[str, int]]
    losses: Mapping[str, list[float]]
    catches: Mapping[str, list[float]]
    triggers: Mapping[float, list[float]]


def page(results: Results, seconds: float) -> str:
    """The page, in Markdown."""
    rows = "\n".join(
        f"| {outcome.bar} | {outcome.title} | {outcome.found} | {outcome.asked} | {outcome.verdict} |"
        for outcome in results.outcomes
    )
    return f"""# Rollouts: how often they are stopped for nothing, and how fast for a reason

{results.runs:,} made-up rollouts a setting, fewer where a line says so, each decided by `next_step` on `Evidence`: the
product's own code. All guards are on, at 1 % each, and a look is taken every 10 requests; in S3 after every request.
Written by `python -m benchmarks.simulations.rollouts --runs {results.runs}` in {seconds:.0f} s, seeds and all.

![False rollbacks by rule, labels and requests until a rollback, labels until a trigger](rollouts.png)

| bar | what | found | asked |  |
| --- | --- | --- | --- | --- |
{rows}

## How it is made

* **S1**: both arms fail on 0.1 % of requests, predict ten classes, and take 5 ms with a log-normal sigma of 0.6;
  20,000 requests, each labelled at once; no tolerance for latency. With stalls, everything stands still now and then
  and thirty requests in a row take twenty times as long, whichever arm they belong to. 38 of 1,000 is what proves at
  most 5 %.
* **Controls**: the same streams, decided by two rules on the same labels at the same 1 %. The test of two shares for
  a single look, read at every look, and the mixture SPRT with its textbook normal approximation, which has no
  guarantee where wrong answers are few.
* **S2** folds labels alone, so that nothing but accuracy can speak. Paired: both answer the same requests; beside
  what is lost, one row in a hundred changes each way. Labels are the candidate's.
* **S3** folds answers alone, at 10 %. Where the stable version fails on one request in a thousand itself, 160
  requests of a candidate that fails on 5 % hold too few errors for more certainty: that line is for information.
* **S4**: a canary in steps of 5, 20 and 50 % judged once, at 1,000 labels, and an A/B at 50 % judged once, at 1,500,
  each allowing for a loss of one point. A candidate that loses exactly that point may be promoted in one run of
  twenty.
* **S7**: 1,000 labels a day; a needless trigger may come once in 30,000 labels even on the line itself, one point
  below the reference.
* **S8** tries plans with each of the timeout's policies, also that which promotes; the last line is the same with
  nothing wrong.
* **S9** writes the evidence down before every piece of 40 rows, reads it back, goes on, and compares all that is said
  and known from there on.

## Why the rules are what they are

* **Six fixed ratios of odds beside the learnt shares.** Learning two shares from nothing costs evidence. Alone, the
  learnt ones needed 399 labels of the candidate in the 95 % case for 0.90 to 0.80 at 10 %, 742 at 50 %; the mean of
  both kinds is as valid and needs a tenth less.
* **Blocks close early** when the next outcome of the scarcer arm is there. Chance sends an arm more or less than its
  share for a while, and evidence would lie waiting.
* **Latency by ranks among neighbours**, not by the share above the stable version's 95th percentile: in one stall a
  dozen of the candidate's answers exceed any percentile taken before it, and count as a dozen proofs.
* **Chi-squared tests of classes share half a per cent**: alpha / 4 for the first, alpha / 12 for the second, and so on,
  so that a canary that lasts for weeks is not tested to death.
"""


def picture(results: Results, path: Path) -> None:
    """Four panels: false rollbacks, labels and requests until a rollback, labels until a trigger."""
    mpl.use("Agg")
    figure, panels = plt.subplots(2, 2, figsize=(14, 8.5), layout="constrained")
    _false_rollbacks(panels[0, 0], results)
    _curves(panels[0, 1], results.losses, "accuracy lost", "labels of the candidate")
    _curves(panels[1, 0], results.catches, "faults that need no label, 10 %", "requests of the candidate")
    triggers = {f"{reference:.2f} less 10 points": needed for reference, needed in results.triggers.items()}
    _curves(panels[1, 1], triggers, "a loss until a new training is asked for", "labels since the loss")
    for panel in panels.flat:
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _false_rollbacks(panel: Axes, results: Results) -> None:
    settings = list(results.same_arms)
    for place, (name, colour) in enumerate(_COLOURS.items()):
        shares = [results.same_arms[setting][name] / results.runs for setting in settings]
        panel.bar(np.arange(len(settings)) + 0.27 * (place - 1), shares, 0.25, color=colour, label=name)
    panel.axhline(0.038, color=_BAR, linewidth=1, linestyle="--")
    panel.text(1.01, 0.038, "3.8 %", transform=panel.get_yaxis_transform(), va="center", fontsize=8, color=_BAR)
    panel.set_xticks(np.arange(len(settings)), [f"{accuracy:g}\n{weight:.0%}" for accuracy, weight in settings])
    panel.set_xlabel("accuracy of both arms, and the candidate's weight", fontsize=8)
    panel.set_title("equal arms rolled back, a look every 10 requests", fontsize=10)
    panel.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1.0, decimals=0))
    panel.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _curves(panel: Axes, needed: Mapping[str, list[float]], title: str, unit: str) -> None:
    for number, (name, values) in enumerate(needed.items()):
        ordered = np.sort(np.asarray(values, float))
        seen = np.isfinite(ordered)
        shares = np.arange(1, len(ordered) + 1) / len(ordered)
        panel.step(ordered[seen], shares[seen], where="post", color=f"C{number}", linewidth=1.5, label=name)
    panel.axhline(0.95, color=_BAR, linewidth=1, linestyle="--")
    panel.set_xscale("log")
    panel.xaxis.set_major_formatter(mpl.ticker.FormatStrFormatter("%g"))
    panel.xaxis.set_minor_formatter(mpl.ticker.NullFormatter())
    panel.set_xlabel(unit, fontsize=8)
    panel.set_title(f"{title}: share of runs rolled back by then" if "until" not in title else title, fontsize=10)
    panel.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1.0, decimals=0))
    panel.set_ylim(0.0, 1.03)
    panel.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
