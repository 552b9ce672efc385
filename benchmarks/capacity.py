"""How many hosts a load needs, reckoned from what was measured: docs/benchmarks.json and docs/scaling.json.

python -m benchmarks.capacity 20000 [--cores 4] [--model-us 500] [--protocol json]
python -m benchmarks.capacity --write        docs/capacity.md anew
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.networks import CNN, PERCEPTRON
from benchmarks.harness.process import ROOT
from benchmarks.harness.results import Results

__all__ = ["Costs", "hosts", "read_costs", "write_page"]

BUSY, MOST_BUSY, SPARE = 0.6, 0.85, 1
"""How busy the cores of all hosts are meant to be at the peak, and how busy those may be that are left without some."""

PROTOCOLS = {"json": "JSON", "v2-binary": "V2 binary", "grpc-infer": "gRPC ModelInfer"}
_RATES, _CORES, _MODELS_US = (1_000, 10_000, 100_000), 4, (100, 1_000, 10_000)
_BEGIN, _END = "<!-- python -m benchmarks.capacity --write -->", "<!-- end -->"


@dataclass(frozen=True, kw_only=True)
class Process:
    """What was found of so many processes on two cores, with the load on them too.

    Attributes:
        rate: requests a second.
        server_us, load_us: of a core that a request took, of the server and of the load.
        cores: that both had together.
    """

    rate: float
    server_us: float
    load_us: float
    cores: float


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """One process and two on two cores, when, and whether the request path was compiled."""

    date: str
    code: str
    one: Process
    two: Process

    @property
    def dearer(self) -> float:
        """How many times as much a request takes of a core where two processes keep two busy."""
        return self.two.server_us / self.one.server_us

    @property
    def undisturbed(self) -> float:
        """How many times as many requests two processes would answer, had they and the load both cores alone."""
        return 2 * self.one.server_us / (self.two.server_us + self.two.load_us)


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What a request takes of a core, as measured.

    Attributes:
        date, cpu: when, and of what.
        beside_us: beside the model, by protocol: of the two networks that were measured, the dearer.
        model_us: of a network, a row, at its best batch size.
        rates: what was measured of a server on one core, by network and protocol.
        scaling: what a second process brought.
    """

    date: str
    cpu: str
    beside_us: Mapping[str, float]
    model_us: Mapping[str, float]
    rates: Mapping[tuple[str, str], float]
    scaling: Scaling

    def per_core(self, model_us: float, protocol: str) -> float:
        """Requests a second, of one row each, that keep one core of many busy."""
        return 1e6 / (model_us + self.beside_us[protocol]) / max(1.0, self.scaling.dearer)


def hosts(rate: float, per_core: float, cores: int) -> int:
    """How many hosts of so many cores answer `rate` requests a second, and go on to when one is lost.

    All of them together are at most `BUSY`; without `SPARE` of them the others are at most `MOST_BUSY`.

    >>> hosts(1_000, per_core=1_000, cores=2)
    2
    >>> hosts(10_000, per_core=1_000, cores=2)
    9
    """
    of_host = per_core * cores
    return max(math.ceil(rate / (of_host * BUSY)), math.ceil(rate / (of_host * MOST_BUSY)) + SPARE)


def read_costs(folder: Path) -> Costs:
    """From `benchmarks.json` and `scaling.json` there."""
    results, scaling = Results.load(folder / "benchmarks.json"), json.loads((folder / "scaling.json").read_text())
    model_us = {network.name: 1e6 / results.limit(network.name) for network in (CNN, PERCEPTRON)}
    rates = {}
    for network in model_us:
        for protocol in PROTOCOLS:
            sample = results.median("fairlead", f"{network} {protocol} 1x64")
            if sample is not None:
                rates[network, protocol] = sample.rate
    beside = {
        protocol: max(1e6 / rate - model_us[network] for (network, of), rate in rates.items() if of == protocol)
        for protocol in PROTOCOLS
    }
    alone, both = (Process(**scaling["found"][workers]) for workers in ("1", "2"))
    return Costs(
        date=results.machine["date"],
        cpu=results.machine["cpu"],
        beside_us=beside,
        model_us=model_us,
        rates=rates,
        scaling=Scaling(date=scaling["machine"]["date"], code=scaling["code"], one=alone, two=both),
    )


def tables(costs: Costs) -> str:
    """The part of the page that is reckoned."""
    lines = [f"Measured on {costs.date} on {costs.cpu}, one image a request, 64 connections.", ""]
    lines += ["| protocol | us of a core a request, beside the model |", "| --- | --- |"]
    lines += [f"| {title} | {costs.beside_us[protocol]:.0f} |" for protocol, title in PROTOCOLS.items()]
    lines += ["", *_scaled(costs.scaling)]
    lines += ["", "| network, protocol | requests a second on one core, measured | reckoned |", "| --- | --- | --- |"]
    for (network, protocol), rate in costs.rates.items():
        reckoned = 1e6 / (costs.model_us[network] + costs.beside_us[protocol])
        lines.append(f"| {network}, {PROTOCOLS[protocol]} | {rate:,.0f} | {reckoned:,.0f} |")
    heads = [f"a model of {us / 1000:g} ms a row" for us in _MODELS_US]
    lines += ["", f"Hosts of {_CORES} cores for JSON:", "", f"| requests a second | {' | '.join(heads)} |"]
    lines += [f"| --- |{' --- |' * len(heads)}"]
    for rate in _RATES:
        needed = [str(hosts(rate, costs.per_core(us, "json"), _CORES)) for us in _MODELS_US]
        lines.append(f"| {rate:,} | {' | '.join(needed)} |")
    return "\n".join(lines)


def _scaled(scaling: Scaling) -> list[str]:
    lines = ["| processes on two cores | requests a second | us of a core a request: server, load | cores they had |"]
    lines += ["| --- | --- | --- | --- |"]
    for count, one in (("one", scaling.one), ("two", scaling.two)):
        lines.append(f"| {count} | {one.rate:,.0f} | {one.server_us:.0f}, {one.load_us:.0f} | {one.cores:.2f} |")
    text = (
        f"A second process, with the load on the same two cores, measured on {scaling.date} ({scaling.code}): "
        f"{scaling.two.rate / scaling.one.rate:.2f} times as many requests with what other programs left of the cores, "
        f"{scaling.undisturbed:.2f} times as many by what a request takes, had they left both. A request takes "
        f"{scaling.dearer:.2f} times as much of a core then."
    )
    return [text, "", *lines]


def write_page(folder: Path) -> None:
    """Put the tables into `capacity.md` there, if there is one."""
    page = folder / "capacity.md"
    if page.exists():
        before, _, rest = page.read_text().partition(_BEGIN)
        page.write_text(f"{before}{_BEGIN}\n\n{tables(read_costs(folder))}\n\n{_END}{rest.partition(_END)[2]}")


def main() -> None:
    """Reckon and print, or write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rate", type=float, nargs="?", help="requests a second at the peak")
    parser.add_argument("--cores", type=int, default=_CORES, help="of a host (default: %(default)s)")
    parser.add_argument("--model-us", type=float, help="of a core that the model takes a row (default: the digits')")
    parser.add_argument("--protocol", choices=PROTOCOLS, default="json")
    parser.add_argument("--write", action="store_true", help="write docs/capacity.md anew")
    options = parser.parse_args()
    folder = ROOT / "docs"
    if options.write:
        write_page(folder)
    elif options.rate is None or not options.rate > 0 or options.cores < 1:
        parser.error("name the requests a second, above 0, and at least one core a host")
    else:
        costs = read_costs(folder)
        model_us = costs.model_us[CNN.name] if options.model_us is None else options.model_us
        per_core = costs.per_core(model_us, options.protocol)
        print(
            f"{hosts(options.rate, per_core, options.cores)} hosts of {options.cores} cores: "
            f"{per_core:,.0f} requests a second keep a core busy, measured on {costs.date}"
        )


if __name__ == "__main__":
    main()
