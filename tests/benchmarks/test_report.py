"""What a run found, kept and shown."""

from __future__ import annotations

from pathlib import Path

from benchmarks.harness.load import Sample
from benchmarks.harness.report import markdown, write
from benchmarks.harness.results import Found, Results
from benchmarks.harness.targets import targets

MACHINE = dict.fromkeys(["date", "cpu", "cores", "system", "onnxruntime", "wrk", "h2load"], "1")
JSON_64 = "cnn json 1x64"


def samples(*rates: float) -> list[Sample]:
    """One for each round; the first has an error."""
    return [Sample(rate=rate, p50_ms=1, p99_ms=2, errors=not turn) for turn, rate in enumerate(rates)]


def results() -> Results:
    """One that answers, one half as fast, one that answered nothing in time, and one that does not start."""
    found = {
        "fairlead": Found(title="Fairlead", settings="", samples={JSON_64: samples(3000, 9000, 3100)}),
        "fastapi": Found(title="FastAPI", settings="", samples={JSON_64: samples(1500, 1600, 1550)}),
        "triton": Found(title="Triton", settings="", samples={JSON_64: samples(0, 0, 0)}),
        "ray": Found(title="Ray Serve", settings="", failure="ended with status 1: no | shared memory"),
    }
    limits = {"cnn": {"1": [3700.0] * 3, "8": [4000.0] * 3}, "perceptron": {"1": [9.0] * 3}}
    return Results(machine=MACHINE, rounds=3, seconds=5, limits=limits, servers=found)


def test_results_survive_the_file(tmp_path: Path) -> None:
    """Every sample is kept."""
    results().save(tmp_path / "benchmarks.json")

    assert Results.load(tmp_path / "benchmarks.json") == results()


def test_a_figure_is_the_median_of_the_rounds_and_errors_add_up() -> None:
    """One lucky round changes nothing."""
    assert results().median("fairlead", JSON_64) == Sample(rate=3100, p50_ms=1, p99_ms=2, errors=1)


def test_targets_are_ratios_to_the_best_limit_and_to_the_best_peer() -> None:
    """What the run has no figure for is neither met nor missed."""
    by_text = {target.text: target for target in targets(results())}

    limit = by_text["JSON, 64 connections / raw limit"]
    peer = by_text["JSON, 64 connections / best Python peer"]
    assert (limit.found, limit.is_met) == (3100 / 4000, True)
    assert (peer.found, peer.is_met) == (2.0, False)
    assert "| JSON, 64 connections / Triton | not measured |" in markdown(results())


def test_a_server_that_could_not_be_measured_stays_in_the_table() -> None:
    """With its reason, whose bars do not break the table."""
    page = markdown(results())

    assert "**ended with status 1: no / shared memory**" in page
    assert "| Ray Serve | failed |" in page


def test_the_page_comes_with_a_plot(tmp_path: Path) -> None:
    """Also when some loads have no figures."""
    write(results(), tmp_path)

    assert (tmp_path / "benchmarks.png").read_bytes().startswith(b"\x89PNG")
    assert "benchmarks.png" in (tmp_path / "benchmarks.md").read_text()
