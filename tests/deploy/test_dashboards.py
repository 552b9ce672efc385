"""The dashboards: as their sources say, and laid out. What they show is held by `test_live_queries`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tools.dashboards import GRAFANA, SOURCES, made

from .rule_files import load

BOARDS = [json.loads(made(source)[1]) for source in SOURCES]


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_the_dashboards_are_what_their_sources_say(source: Path) -> None:
    """`python -m tools.dashboards` brings them up to date."""
    path, text = made(source)

    assert path.read_text() == text
    assert {path.stem for path in (GRAFANA / "dashboards").iterdir()} == {source.stem for source in SOURCES}


def test_dashboards_can_be_linked_to_and_are_laid_out() -> None:
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
