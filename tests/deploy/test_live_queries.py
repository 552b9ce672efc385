"""What is asked of a service under load by panels and rules: a real Prometheus has an answer to all of it."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any

import pytest
from tests.cli.clients import wait_until
from tools.dashboards import SOURCES, made

from .conftest import Live
from .rule_files import read_rules

BOARDS = [json.loads(made(source)[1]) for source in SOURCES]
VARIABLES = {"$model": ".*", "$version": ".*", "$__rate_interval": "1m"}


SELECTOR = re.compile(r"\b(?:up|probe_\w+|(?:model:|service:)?fairlead_\w+(?::\w+)?)\b(?:\{[^}]*\})?")
SELECTORS = sorted(
    {
        found
        for rule in read_rules()
        for found in SELECTOR.findall(re.sub(r"\b(?:by|on) \([^)]*\)", "", rule.expression))
    }
)


@dataclass(frozen=True, slots=True)
class Query:
    """One of a panel.

    Attributes:
        where: dashboard, panel and letter.
        expression: in PromQL, with Grafana's variables.
        legend: how each series is named.
    """

    where: str
    expression: str
    legend: str

    @property
    def asked(self) -> str:
        """As Grafana asks it with its variables' default values."""
        return re.sub(r"\$\w+", lambda found: VARIABLES[found[0]], self.expression)


QUERIES = [
    *(
        Query(f"{board['title']}: {panel['title']} {target['refId']}", target["expr"], target["legendFormat"])
        for board in BOARDS
        for panel in board["panels"]
        for target in panel.get("targets", [])
    ),
    *(
        Query(f"{board['title']}: marks", mark["expr"], mark["titleFormat"])
        for board in BOARDS
        for mark in board["annotations"]["list"]
    ),
]


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.where)
def test_every_panel_shows_something(live: Live, query: Query) -> None:
    """A real Prometheus gives at least one number for it, with the labels that its legend names."""

    def numbers() -> list[dict[str, Any]]:
        return [one for one in live.prometheus.query(query.asked) if math.isfinite(float(one["value"][1]))]

    wait_until(lambda: bool(numbers()))
    for label in re.findall(r"\{\{(\w+)\}\}", query.legend):
        assert any(label in one["metric"] for one in numbers()), label


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board["uid"])
def test_variables_offer_what_is_served(live: Live, board: dict[str, Any]) -> None:
    """Models, and their versions."""
    for variable in board["templating"]["list"]:
        found = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["definition"])
        assert found
        series = live.prometheus.query(found[1].replace("$model", ".*"))
        offered = {one["metric"][found[2]] for one in series}
        assert {"digits", "prices"} <= offered if variable["name"] == "model" else {"1", "2"} <= offered


def test_every_rule_is_evaluated(live: Live) -> None:
    """Without an error, and each that records makes a series."""
    expected = sorted(rule.name for rule in read_rules())

    def unevaluated() -> list[str]:
        return [rule["name"] for rule in live.prometheus.rules() if rule["health"] != "ok"]

    wait_until(lambda: not unevaluated())
    assert sorted(rule["name"] for rule in live.prometheus.rules()) == expected
    for rule in read_rules():
        if not rule.is_alert:
            live.prometheus.wait_for(rule.name)


@pytest.mark.parametrize("selector", SELECTORS)
def test_what_the_rules_read_is_there(live: Live, selector: str) -> None:
    """Each name with each label: an alert on what nobody shows would be quiet for ever."""
    if 'outcome="failed"' in selector or "dropped" in selector:
        assert live.prometheus.query(selector), "0 as long as nothing has happened"
    live.prometheus.wait_for(selector)


@pytest.mark.parametrize("alert", ["FairleadWatchdog", "FairleadModelDoesNotLoad"])
def test_what_is_wrong_is_told(live: Live, alert: str) -> None:
    """A version that does not load; and the heartbeat is always there."""
    live.prometheus.wait_for(f'ALERTS{{alertname="{alert}",alertstate="firing"}}')
