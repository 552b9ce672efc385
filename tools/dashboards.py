"""Grafana's dashboards, made from `deploy/grafana/sources`: what is asked and how it is named stands there, once.

`python -m tools.dashboards` writes `deploy/grafana/dashboards`; a test holds that both agree.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

GRAFANA = Path(__file__).parents[1] / "deploy" / "grafana"
SOURCES = sorted((GRAFANA / "sources").glob("*.yml"))
SOURCE = {"type": "prometheus", "uid": "prometheus"}
"""The data source that `provisioning` names."""

_WIDTH, _HEIGHT, _STAT_HEIGHT = 24, 8, 4
_BY_NAME, _BY_NUMBER = 1, 3
_VARIABLES = {
    "model": ("Model", "label_values(fairlead_model_available, model)", _BY_NAME),
    "version": ("Version", 'label_values(fairlead_model_available{model=~"$model"}, version)', _BY_NUMBER),
}
_RELEASES = 'sum by (model) (changes(fairlead_release_revision{model=~"$model"}[1m])) > 0'
_TYPES = {"bars": "timeseries", "states": "state-timeline"}
_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "timeseries": {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "stat": {
        "colorMode": "value",
        "graphMode": "area",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "textMode": "auto",
    },
    "heatmap": {
        "calculate": False,
        "cellGap": 1,
        "color": {"mode": "scheme", "scheme": "Blues"},
        "yAxis": {"unit": "s"},
    },
    "state-timeline": {"mergeValues": True, "showValue": "never", "rowHeight": 0.9},
}


def made(source: Path) -> tuple[Path, str]:
    """Where a dashboard's JSON belongs, and how it should be."""
    return GRAFANA / "dashboards" / f"{source.stem}.json", json.dumps(_dashboard(source), indent=1) + "\n"


def _dashboard(source: Path) -> dict[str, Any]:
    board = yaml.safe_load(source.read_text())
    return {
        "uid": board["uid"],
        "title": board["title"],
        "description": board["description"],
        "tags": ["fairlead"],
        "schemaVersion": 39,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "links": [{"type": "dashboards", "tags": ["fairlead"], "title": "", "keepTime": True, "includeVars": True}],
        "annotations": {"list": [_releases()]},
        "templating": {"list": [_variable(name) for name in board["variables"]]},
        "panels": list(_panels(board["rows"])),
    }


def _releases() -> dict[str, Any]:
    """Marks on every chart where a release came into force."""
    return {
        "name": "Releases",
        "datasource": SOURCE,
        "enable": True,
        "iconColor": "purple",
        "expr": _RELEASES,
        "step": "1m",
        "titleFormat": "release of {{model}}",
    }


def _variable(name: str) -> dict[str, Any]:
    label, query, sort = _VARIABLES[name]
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "sort": sort,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def _panels(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Each row's panels from left to right, in as many lines as they need."""
    number, y = 0, 0
    for row in rows:
        number += 1
        place = {"x": 0, "y": y, "w": _WIDTH, "h": 1}
        yield {"id": number, "type": "row", "title": row["title"], "collapsed": False, "gridPos": place, "panels": []}
        x, y, height = 0, y + 1, 0
        for panel in row["panels"]:
            number += 1
            width = panel.get("width", 8)
            if x + width > _WIDTH:
                x, y = 0, y + height
            height = _STAT_HEIGHT if panel.get("kind") == "stat" else _HEIGHT
            yield _panel(number, panel, {"x": x, "y": y, "w": width, "h": height})
            x += width
        y += height


def _panel(number: int, panel: dict[str, Any], place: dict[str, int]) -> dict[str, Any]:
    kind = panel.get("kind", "timeseries")
    type_ = _TYPES.get(kind, kind)
    shape = {"drawStyle": "bars", "fillOpacity": 60} if kind == "bars" else {"fillOpacity": 10, "showPoints": "never"}
    thresholds = panel.get("thresholds", {})
    steps = [{"color": "green", "value": None}, *({"color": thresholds[at], "value": at} for at in thresholds)]
    return {
        "id": number,
        "type": type_,
        "title": panel["title"],
        "description": panel.get("description", ""),
        "datasource": SOURCE,
        "gridPos": place,
        "targets": [
            {
                "refId": chr(ord("A") + which),
                "datasource": SOURCE,
                "editorMode": "code",
                "expr": expression,
                "legendFormat": legend or " ",
                "range": True,
                "format": "heatmap" if type_ == "heatmap" else "time_series",
            }
            for which, (legend, expression) in enumerate(panel["queries"].items())
        ],
        "fieldConfig": {
            "defaults": {
                "unit": panel.get("unit", "short"),
                "custom": shape if type_ == "timeseries" else {},
                "color": {"mode": "thresholds" if type_ == "stat" else "palette-classic"},
                "thresholds": {"mode": "absolute", "steps": steps},
            },
            "overrides": [],
        },
        "options": _OPTIONS[type_],
    }


def main() -> None:
    """Write them all."""
    for path, text in map(made, SOURCES):
        path.write_text(text)


if __name__ == "__main__":
    main()
