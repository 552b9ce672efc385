"""The rules against a service under load: all of them can be evaluated, and what they read is there."""

from __future__ import annotations

import re

import pytest
from tests.cli.clients import wait_until

from .conftest import Live
from .rule_files import read_rules

SELECTOR = re.compile(r"\b(?:up|probe_\w+|(?:model:|service:)?fairlead_\w+(?::\w+)?)\b(?:\{[^}]*\})?")
SELECTORS = sorted(
    {
        found
        for rule in read_rules()
        for found in SELECTOR.findall(re.sub(r"\b(?:by|on) \([^)]*\)", "", rule.expression))
    }
)


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


def test_the_heartbeat_is_always_there(live: Live) -> None:
    """And what is wrong here is told: a version that does not load."""
    live.prometheus.wait_for('ALERTS{alertname="FairleadWatchdog",alertstate="firing"}')
