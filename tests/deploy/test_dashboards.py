"""The dashboards: as their sources say, and every panel shows something of a service under load."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.cli.clients import wait_until
from tools.dashboards import GRAFANA, SOURCES, made

from .conftest import Live
from .rule_files import load

BOARDS = [json.loads(made(source)[1]) for source in SOURCES]
VARIABLES = {"$model": ".*", "$version": ".*", "$__rate_interval": "1m"}


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


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_the_dashboards_are_what_their_sources_say(source: Path) -> None:
    """`python -m tools.dashboards` brings them up to date."""
    path, text = made(source)

    assert path.read_text() == text
    assert {path.stem for path in (GRAFANA / "dashboards").iterdir()} == {source.stem for source in SOURCES}


def test_dashboards_can_be_linked_to_and_are_laid_out(tmp_path: Path) -> None:
    """Each has an address that stays and panels that have a place of their own; data come from what is provisioned."""
    sources = {
        source["uid"] for source in load(GRAFANA / "provisioning" / "datasources" / "fairlead.yml")["datasources"]
    }
    assert [board["uid"] for board in BOARDS] == [f"fairlead-{source.stem}" for source in SOURCES]
    for board in BOARDS:
        panels = board["panels"]
        assert {panel["datasource"]["uid"] for panel in panels if panel["type"] != "row"} <= sources
        assert len({panel["id"] for panel in panels}) == len(panels)
        taken = [cell for panel in panels for cell in cells(panel["gridPos"])]
        assert len(taken) == len(set(taken))


def cells(place: dict[str, int]) -> list[tuple[int, int]]:
    """What a panel covers of the grid, which is 24 wide."""
    assert place["x"] + place["w"] <= 24
    return [(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])]


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
