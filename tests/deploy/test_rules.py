"""The rules that alerts come from: each fires on its fault, none in four normal cases, and each has its runbook."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml
from tests.cli.prometheus import program

from .rule_files import PROMETHEUS, Rule, load, metrics_in, read_rules

ROOT = Path(__file__).parents[2]
RUNBOOKS = ROOT / "docs" / "runbooks"
RULES = read_rules()
ALERTS = [rule for rule in RULES if rule.is_alert]
TESTS = sorted(PROMETHEUS.glob("tests/*.yml"))
FAULTS = [path for path in TESTS if path.name != "quiet.yml"]
QUIET = PROMETHEUS / "tests" / "quiet.yml"


def run(*command: str | Path) -> str:
    """What a program says that ends well."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def rule_tests() -> dict[Path, subprocess.Popen[str]]:
    """All of them, under way at the same time."""
    return {
        path: subprocess.Popen(
            [program("promtool"), "test", "rules", path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for path in TESTS
    }


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_the_rules_keep_their_own_tests(path: Path, rule_tests: dict[Path, subprocess.Popen[str]]) -> None:
    """`promtool test rules`: what fires when, and that nothing else does."""
    said, _ = rule_tests[path].communicate(timeout=300)

    assert rule_tests[path].returncode == 0, said
    assert "SUCCESS" in said


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_each_alert_is_shown_to_fire_on_its_fault(alert: Rule) -> None:
    """Some test of the rules expects it, with its severity."""
    expected = "\n".join(path.read_text() for path in FAULTS)
    labels = rf'alertname="{alert.name}",[^}}]*severity="{alert.labels["severity"]}"'

    assert re.search(rf"labels: '?ALERTS\{{{labels}", expected)


def test_the_quiet_cases_have_all_that_alerts_look_at() -> None:
    """An alert whose metrics are not there would be quiet whatever it says."""
    given = {re.split(r"[{ ]", series["series"])[0] for test in load(QUIET)["tests"] for series in test["input_series"]}
    looked_at = {name for rule in RULES for name in metrics_in(rule.expression) if ":" not in name}

    assert len(load(QUIET)["tests"]) == 4
    assert looked_at <= given
    for test in load(QUIET)["tests"]:
        (told,) = test["promql_expr_test"]
        assert told["exp_samples"] == []


def test_a_month_at_three_tenths_of_its_budget_pages_nobody(tmp_path: Path) -> None:
    """Failures come by chance, a third of them in one bad minute a day; traffic has its days and nights."""
    assert "SUCCESS" in run(program("promtool"), "test", "rules", month(tmp_path, days=30, share=0.3, pages="[]"))


def test_a_day_at_twenty_times_its_budget_pages_somebody(tmp_path: Path) -> None:
    """The month before could be told from this."""
    told = month(tmp_path, days=1, share=20.0, pages='[{labels: "{}", value: 2}]')

    assert "SUCCESS" in run(program("promtool"), "test", "rules", told)


def month(directory: Path, *, days: int, share: float, pages: str) -> Path:
    """A test of the rules: days in which this share of the budget of 0.1 % is spent, after a first without failures.

    Args:
        directory: where to write it.
        days: how many.
        share: of the budget.
        pages: that are expected.
    """
    rng = np.random.default_rng(10)
    minutes = np.arange((days + 1) * 1440)
    asked = rng.poisson(600 - 550 * np.cos(2 * np.pi * minutes / 1440))
    chance = np.where(minutes < 1440, 0, share * 0.001 * 2 / 3)
    for day in range(1, days + 1):
        minute = day * 1440 + rng.integers(1440)
        chance[minute] = min(1.0, 1440 * share * 0.001 / 3)
    failed = rng.binomial(asked, chance)
    ok, failures = (" ".join(map(str, np.cumsum(counts))) for counts in (asked - failed, failed))
    groups = load(PROMETHEUS / "rules" / "objectives.yml")
    for group in groups["groups"]:  # without those of latency, which take half of the time
        group["rules"] = [rule for rule in group["rules"] if not re.search("slow|refused", rule["expr"])]
    (directory / "rules.yml").write_text(yaml.safe_dump(groups))
    written = directory / "month.yml"
    written.write_text(f"""
rule_files: [rules.yml]
evaluation_interval: 10m
group_eval_order: [fairlead-objectives-short, fairlead-objectives-long]
tests:
  - interval: 1m
    input_series:
      - {{series: 'fairlead_requests_total{{model="digits",code="OK"}}', values: '{ok}'}}
      - {{series: 'fairlead_requests_total{{model="digits",code="INTERNAL"}}', values: '{failures}'}}
    promql_expr_test:
      - expr: count (count_over_time(ALERTS{{alertstate="firing",severity="page"}}[{days}d]))
        eval_time: {days + 1}d
        exp_samples: {pages}
""")
    return written


@pytest.mark.parametrize("path", ["prometheus.yml", "alertmanager.yml"])
def test_the_configurations_are_valid(path: str) -> None:
    """By the judgement of those who read them; the secrets that they name are elsewhere."""
    check = ("promtool", "check", "config", "--syntax-only") if path == "prometheus.yml" else ("amtool", "check-config")

    assert "SUCCESS" in run(program(check[0]), *check[1:], PROMETHEUS / path)


def test_the_rules_read_what_the_catalogue_has() -> None:
    """A name that nobody shows any more would make an alert that is quiet for ever."""
    read = {name for rule in RULES for name in metrics_in(rule.expression) if name.startswith("fairlead_")}

    assert {re.sub(r"_(bucket|count|sum)$", "", name) for name in read} <= set(
        re.findall(r"^\| `(\w+)` ", (ROOT / "docs" / "metrics.md").read_text(), re.MULTILINE)
    )


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_each_alert_says_what_it_is_and_where_its_runbook_is(alert: Rule) -> None:
    """A severity that a route knows, a summary, a description, and a page that has the alert in its title."""
    assert alert.labels["severity"] in {"page", "ticket", "heartbeat"}
    assert {"summary", "description", "runbook_url"} <= set(alert.annotations)
    runbook = ROOT / alert.annotations["runbook_url"]
    assert runbook.parent == RUNBOOKS
    assert alert.name in re.split(r"[#, ]+", runbook.read_text().splitlines()[0])


@pytest.mark.parametrize("runbook", sorted(RUNBOOKS.glob("*.md")), ids=lambda path: path.stem)
def test_each_runbook_starts_with_the_rollback_and_is_of_alerts_that_exist(runbook: Path) -> None:
    """Nobody who was got up has to look for the command that makes it good."""
    title, _, command, *_ = runbook.read_text().splitlines()

    assert command == "    fairlead rollback MODEL"
    names = set(re.split(r", ", title.removeprefix("# ")))
    assert names == {rule.name for rule in ALERTS if rule.annotations["runbook_url"] == str(runbook.relative_to(ROOT))}
    for heading in ("## What it means", "## How to look", "## What to do"):
        assert f"\n{heading}\n" in runbook.read_text()


def test_no_alert_is_on_cpu() -> None:
    """A busy machine that answers in time is fine."""
    assert not [rule.name for rule in RULES if "cpu" in rule.expression.lower()]


def test_every_alert_stands_in_the_page_on_monitoring() -> None:
    """With its severity and its runbook, and nothing that is none."""
    rows = re.findall(
        r"^\| (Fairlead\w+) \| .* \| (\w+) \| \[.*\]\((.*)\) \|$",
        (ROOT / "docs" / "monitoring.md").read_text(),
        re.MULTILINE,
    )

    assert sorted(rows) == sorted(
        (rule.name, rule.labels["severity"], rule.annotations["runbook_url"].removeprefix("docs/")) for rule in ALERTS
    )
