"""The reckoning of hosts, against what was measured."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest

from benchmarks.capacity import BUSY, MOST_BUSY, Costs, hosts, read_costs, tables
from benchmarks.harness.load import missing_tools

from .test_reliability import run

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def costs() -> Costs:
    """As the pages in `docs` have them."""
    return read_costs(DOCS)


def test_what_is_reckoned_is_never_more_than_was_measured(costs: Costs) -> None:
    """For each network and protocol; for the one that is dear it is what was measured."""
    reckoned = {
        (network, protocol): 1e6 / (costs.model_us[network] + costs.beside_us[protocol])
        for network, protocol in costs.rates
    }

    assert len(reckoned) == 6
    for asked, rate in costs.rates.items():
        assert 0.5 * rate < reckoned[asked] < 1.001 * rate
        if asked[0] == "cnn":
            assert reckoned[asked] == pytest.approx(rate, rel=0.05)


@pytest.mark.parametrize("rate", [1.0, 999.0, 5_000.0, 123_456.0])
@pytest.mark.parametrize("cores", [1, 2, 16])
def test_the_hosts_are_enough_also_without_one(rate: float, cores: int) -> None:
    """And with one less they would not be."""

    def is_enough(count: int) -> bool:
        busy = rate / (1_000 * cores * count)
        without_one = rate / (1_000 * cores * (count - 1)) if count > 1 else math.inf
        return busy <= BUSY and without_one <= MOST_BUSY

    found = hosts(rate, per_core=1_000, cores=cores)

    assert is_enough(found)
    assert not is_enough(found - 1)


def test_the_page_shows_what_the_files_hold(costs: Costs) -> None:
    """With the date of each measurement."""
    page = (DOCS / "capacity.md").read_text()

    assert tables(costs) in page
    assert costs.date in page
    assert json.loads((DOCS / "scaling.json").read_text())["machine"]["date"] in page


def test_a_rate_is_answered_on_the_command_line() -> None:
    """With the date."""
    assert "2 hosts of 2 cores" in run("capacity", "100", "--cores", "2")


@pytest.fixture
def _load() -> None:
    """The load generators; absent, the test is skipped, and in CI it fails."""
    if missing := missing_tools():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"not installed: {', '.join(missing)}")


@pytest.mark.usefixtures("_load")
def test_scaling_is_measured_and_written(tmp_path: Path) -> None:
    """One process and two, with what each request took; the docs stay as they are."""
    said = run("scaling", "--rounds", "1", "--seconds", "1", "--output", str(tmp_path))

    assert "times as many" in said
    found = json.loads((tmp_path / "scaling.json").read_text())["found"]
    assert all(0 < one["cores"] <= 2.1 and one["rate"] > 0 for one in found.values())
