"""`docs/benchmarks.md` from what a run found, and the plot beside it.

python -m benchmarks.harness.report      writes both anew from docs/benchmarks.json
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.harness import plot
from benchmarks.harness.load import Sample
from benchmarks.harness.loads import LOADS, Load
from benchmarks.harness.networks import CNN, PERCEPTRON, Network
from benchmarks.harness.process import ROOT
from benchmarks.harness.results import Results
from benchmarks.harness.targets import Target, targets

__all__ = ["markdown", "write"]

_INTRODUCTION = """\
# Benchmarks

Images a second, with the median and the 99th percentile of the latency in ms below, of servers on one core with the
load on another. Written by `make bench`; `benchmarks/README.md` tells how it is measured and how to read it.

![Images a second on one core](benchmarks.png)
"""


def write(results: Results, folder: Path) -> None:
    """Write the page and the plot."""
    (folder / "benchmarks.md").write_text(markdown(results))
    plot.draw(results, folder / "benchmarks.png")


def markdown(results: Results) -> str:
    """The page."""
    return "\n".join(
        [
            _INTRODUCTION,
            _setting(results),
            "\n## Fairlead against its targets\n",
            _table(["figure", "found", "target", ""], map(_target, targets(results))),
            f"\n## The convolutional network\n\n{_limit(results, CNN)}\n",
            _rates(results, CNN),
            f"\n## The perceptron\n\n{_limit(results, PERCEPTRON)}\n",
            _rates(results, PERCEPTRON),
            "\n## Start, memory, settings\n",
            _settings(results),
            "",
        ]
    )


def _setting(results: Results) -> str:
    machine = results.machine
    return (
        f"Measured on {machine['date']} on {machine['cores']} cores of {machine['cpu']}, {machine['system']},"
        f" ONNX Runtime {machine['onnxruntime']}, wrk {machine['wrk']}, h2load {machine['h2load']}."
        f" Medians of {results.rounds} rounds of {results.seconds} s."
    )


def _limit(results: Results, network: Network) -> str:
    rates = [f"{results.limit(network.name, int(batch)):,.0f} at {batch}" for batch in results.limits[network.name]]
    return (
        f"ONNX Runtime alone, by batch size: {', '.join(rates)}. The best of them is the raw limit,"
        f" {results.limit(network.name):,.0f}; in brackets each server's share of it."
    )


def _target(target: Target) -> list[str]:
    if math.isnan(target.found) or math.isnan(target.bar):
        return [target.text, "not measured", _bar(target), ""]
    return [target.text, f"{target.found:.3g}", _bar(target), "met" if target.is_met else "missed"]


def _bar(target: Target) -> str:
    return f"{'at most' if target.is_ceiling else 'at least'} {target.bar:.3g}"


def _rates(results: Results, network: Network) -> str:
    loads = [load for load in LOADS if load.network is network]
    rows = [[found.title, *(_cell(results, name, load) for load in loads)] for name, found in results.servers.items()]
    return _table(["server", *(load.title for load in loads)], rows)


def _cell(results: Results, server: str, load: Load) -> str:
    sample = results.median(server, load.key)
    if sample is None:
        return "failed" if results.servers[server].failure else "not offered"
    share = sample.rate / results.limit(load.network.name)
    return f"{sample.rate:,.0f} ({share:.2f})<br>{_ms(sample.p50_ms)} / {_ms(sample.p99_ms)} ms{_errors(sample)}"


def _ms(milliseconds: float) -> str:
    return f"{milliseconds:.2f}" if milliseconds < 10 else f"{milliseconds:,.0f}"  # noqa: PLR2004 - three digits


def _errors(sample: Sample) -> str:
    return f"<br>{sample.errors:,} errors" if sample.errors else ""


def _settings(results: Results) -> str:
    return _table(
        ["server", "exec to first answer", "memory after load", "versions", "settings"],
        (
            [
                found.title,
                _figure(found.typical_start_s, ".2f", "s"),
                _figure(found.typical_resident_mb, ",.0f", "MB"),
                ", ".join(f"{package} {version}" for package, version in found.versions.items()),
                found.settings if found.failure is None else f"**{found.failure.replace('|', '/')}**",
            ]
            for found in results.servers.values()
        ),
    )


def _figure(value: float, form: str, unit: str) -> str:
    return "" if math.isnan(value) else f"{value:{form}} {unit}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])


if __name__ == "__main__":
    write(Results.load(ROOT / "docs" / "benchmarks.json"), ROOT / "docs")
