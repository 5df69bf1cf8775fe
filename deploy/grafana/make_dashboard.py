"""Writes recserve.json, the dashboard: `python deploy/grafana/make_dashboard.py`.

Rows and their queries are in rows.py; what Grafana wants besides is the same for all.
"""

import json
from pathlib import Path
from typing import Any, Final

from panels import Panel
from rows import ROWS

TARGET: Final = Path(__file__).with_name("recserve.json")
_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
_COLUMNS: Final = 24
_HEIGHT: Final = 8
_SELECTED: Final = 'job=~"$job",instance=~"$instance"'


def dashboard() -> dict[str, Any]:
    """Returns the whole dashboard."""
    panels: list[dict[str, Any]] = []
    y = 0
    for row, members in ROWS.items():
        place = {"x": 0, "y": y, "w": _COLUMNS, "h": 1}
        panels.append({"type": "row", "title": row, "collapsed": False, "gridPos": place})
        y, x = y + 1, 0
        for each in members:
            if x + each.width > _COLUMNS:
                x, y = 0, y + _HEIGHT
            panels.append(_panel(each, {"x": x, "y": y, "w": each.width, "h": _HEIGHT}))
            x += each.width
        y += _HEIGHT
    for number, panel in enumerate(panels, start=1):
        panel["id"] = number
    return {
        "uid": "recserve",
        "title": "recserve",
        "tags": ["recserve"],
        "schemaVersion": 39,
        "timezone": "browser",
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": _variables()},
        "panels": panels,
    }


def _panel(panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    is_table = panel.kind == "table"
    targets = [
        {
            "refId": chr(ord("A") + number),
            "datasource": _SOURCE,
            "expr": query.replace("$S", _SELECTED),
            "legendFormat": legend,
            **({"format": "table", "instant": True} if is_table else {}),
        }
        for number, (legend, query) in enumerate(panel.queries.items())
    ]
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": targets,
    }


def _variables() -> list[dict[str, Any]]:
    source = {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "source"}
    queries = {
        "job": "label_values(recserve_serving, job)",
        "instance": 'label_values(recserve_serving{job=~"$job"}, instance)',
        "model": 'label_values(recserve_model_info{job=~"$job"}, model)',
    }
    return [
        source,
        *(
            {
                "name": name,
                "type": "query",
                "datasource": _SOURCE,
                "query": query,
                "refresh": 2,
                "includeAll": True,
                "allValue": ".*",
                "multi": True,
                "current": {"text": "All", "value": "$__all"},
            }
            for name, query in queries.items()
        ),
    ]


def text() -> str:
    """Returns the file's contents."""
    return json.dumps(dashboard(), indent=1) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
