"""The rules of `deploy/prometheus`, as the tests read them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
PROMETHEUS = DEPLOY / "prometheus"
_METRIC = re.compile(r"\b(?:up|process_\w+|probe_\w+|(?:model:|service:)?fairlead_\w+(?::\w+)?)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A recording rule or an alert.

    Attributes:
        name: of the series that it makes, or of the alert.
        is_alert: which of the two.
        expression: in PromQL.
        labels: that it adds.
        annotations: of an alert.
    """

    name: str
    is_alert: bool
    expression: str
    labels: dict[str, str]
    annotations: dict[str, str]


def load(path: Path) -> Any:
    """A YAML file."""
    return yaml.safe_load(path.read_text())


def read_rules() -> list[Rule]:
    """All of them, in the order in which they stand."""
    return [
        Rule(
            name=rule.get("alert") or rule["record"],
            is_alert="alert" in rule,
            expression=rule["expr"],
            labels=rule.get("labels", {}),
            annotations=rule.get("annotations", {}),
        )
        for path in sorted(PROMETHEUS.glob("rules/*.yml"))
        for group in load(path)["groups"]
        for rule in group["rules"]
    ]


def metrics_in(expression: str) -> set[str]:
    """The names of the metrics that it reads."""
    return set(_METRIC.findall(re.sub(r"\{[^}]*\}|\b(?:by|on) \([^)]*\)", "", expression)))
