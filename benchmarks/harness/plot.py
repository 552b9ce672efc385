"""The comparison as bars: one panel a load, the raw limit beside them."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt

from benchmarks.harness.loads import LOADS, Load
from benchmarks.harness.results import Results

__all__ = ["draw"]

_SHOWN = ("cnn json 1x64", "cnn json 32x8", "cnn v2-binary 1x64", "cnn grpc-infer 1x64", "perceptron json 1x64")
_OURS, _OTHERS, _LIMIT = "#1f6f8b", "#b8c4cc", "#333333"


def draw(results: Results, path: Path) -> None:
    """Draw images a second of every server under the loads that tell most."""
    mpl.use("Agg")
    loads = [load for load in LOADS if load.key in _SHOWN]
    heights = [2 + len(_bars(results, load)) for load in loads]
    figure, panels = plt.subplots(
        len(loads), figsize=(8, 0.24 * sum(heights)), height_ratios=heights, layout="constrained"
    )
    for panel, load in zip(panels, loads, strict=True):
        _panel(panel, results, load)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _bars(results: Results, load: Load) -> list[tuple[str, str, float]]:
    """Name, title and rate of who answers this load, the fastest first."""
    samples = [(name, found.title, results.median(name, load.key)) for name, found in results.servers.items()]
    bars = [(name, title, sample.rate) for name, title, sample in samples if sample]
    return sorted(bars, key=lambda bar: -bar[2])


def _panel(panel: plt.Axes, results: Results, load: Load) -> None:
    bars = _bars(results, load)
    limit = results.limit(load.network.name)
    fastest = max([rate for _, _, rate in bars], default=1.0)
    drawn = panel.barh(
        [title for _, title, _ in bars],
        [rate for _, _, rate in bars],
        color=[_OURS if name == "fairlead" else _OTHERS for name, _, _ in bars],
    )
    panel.bar_label(drawn, [f" {rate:,.0f}" for _, _, rate in bars], fontsize=8)
    panel.invert_yaxis()
    panel.set_title(f"{load.network.name}: {load.title}", loc="left", fontsize=10)
    panel.tick_params(labelsize=8)
    panel.spines[["top", "right"]].set_visible(False)
    if limit < 2 * fastest:
        panel.axvline(limit, color=_LIMIT, linestyle="--", linewidth=1)
        panel.text(limit, -0.6, f" raw limit {limit:,.0f}", fontsize=8, va="bottom", color=_LIMIT)
    panel.set_xlim(0, 1.15 * (max(limit, fastest) if limit < 2 * fastest else fastest))
