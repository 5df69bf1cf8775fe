"""The dashboard, the alerts and the page of metrics, held against what a server really tells."""

import json
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from recserve_client import AsyncRecommenderClient
from recserve_server.config import EventsConfig, ObservingConfig, ServerConfig
from recserve_server.testing import running_server

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "deploy" / "grafana" / "recserve.json"
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yaml"
NAME = re.compile(r"\b(?:recserve|grpc_server|process|python)_[a-z0-9_]+\b")
SUFFIXES = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_count", "_sum"),
    "info": ("_info",),
}
needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed: apt install prometheus"
)


@pytest.fixture
async def told(config: ServerConfig, tmp_path: Path) -> dict[str, set[str]]:
    """Every metric that a server tells which has all of its parts, by family."""
    everything = replace(
        config,
        admin_address="127.0.0.1:0",
        events=EventsConfig(location=str(tmp_path / "events.db")),
        observing=ObservingConfig(request_log=tmp_path / "log"),
    )
    async with (
        running_server(everything) as server,
        AsyncRecommenderClient(server.address) as client,
    ):
        await client.recommend("u0")
        with urllib.request.urlopen(f"http://{server.admin_address}/metrics") as response:
            text = response.read().decode()
    return {
        family.name: {family.name + suffix for suffix in SUFFIXES[family.type]}
        for family in text_string_to_metric_families(text)
    }


def queries() -> Iterator[tuple[str, str]]:
    """Yields the dashboard's queries, with the panels' titles."""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


def unknown(text: str, told: dict[str, set[str]]) -> set[str]:
    return set(NAME.findall(text)) - set().union(*told.values())


def test_the_dashboard_asks_for_nothing_that_no_server_tells(told: dict[str, set[str]]) -> None:
    asked = list(queries())

    assert {title: unknown(query, told) for title, query in asked if unknown(query, told)} == {}
    assert len(asked) > 50


def test_the_alerts_ask_for_nothing_that_no_server_tells(told: dict[str, set[str]]) -> None:
    expressions = re.sub(r"#.*|^ *(summary|- alert): .*$", "", ALERTS.read_text(), flags=re.M)

    assert unknown(expressions, told) == set()
    assert len(set(NAME.findall(expressions))) > 20


def test_every_alert_has_a_name_of_its_own_a_severity_and_a_summary() -> None:
    _, *alerts = ALERTS.read_text().split("- alert: ")
    names = [each.split()[0] for each in alerts]

    assert len(names) == len(set(names))
    for each in alerts:
        assert re.search(r"^ +labels: \{severity: (page|ticket)\}$", each, re.M), each
        assert re.search(r"^ +summary: .+$", each, re.M), each


def test_the_page_of_metrics_has_every_metric_and_no_other(told: dict[str, set[str]]) -> None:
    page = (ROOT / "docs" / "metrics.md").read_text()
    rows = re.findall(r"^\| `([a-z0-9_]+)` \|", page, re.M)
    # A counter goes by the name of its only sample, a histogram by its family's.
    ours = {
        next(iter(samples)) if len(samples) == 1 else family
        for family, samples in told.items()
        if family.startswith(("grpc_server_", "recserve_"))
    }

    assert sorted(rows) == sorted(ours)
    assert unknown(page, told) - set(rows) == {"process_", "python_"} & set(NAME.findall(page))


@pytest.mark.parametrize("page", ["observability.md", "operations.md", "security.md", "events.md"])
def test_other_pages_speak_of_no_metric_that_there_is_not(
    told: dict[str, set[str]], page: str
) -> None:
    text = (ROOT / "docs" / page).read_text()
    ours = {each for each in re.findall(r"`(recserve_[a-z0-9_]+)", text) if each.count("_") > 1}
    modules = {"recserve_server", "recserve_client", "recserve_trainer"}

    told_names = set().union(*told.values()) | set(told)
    assert {each for each in ours if not each.startswith(tuple(modules))} - told_names == set()


def test_the_dashboard_is_what_its_program_writes(tmp_path: Path) -> None:
    for source in DASHBOARD.parent.glob("*.py"):
        shutil.copy(source, tmp_path)

    subprocess.run([sys.executable, tmp_path / "make_dashboard.py"], check=True, timeout=60)

    assert (tmp_path / "recserve.json").read_text() == DASHBOARD.read_text()


def test_panels_lie_side_by_side_and_have_a_title_of_their_own() -> None:
    panels: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells

    titles = [panel["title"] for panel in panels]
    assert len(titles) == len(set(titles))


@needs_promtool
def test_promtool_takes_the_dashboards_queries(tmp_path: Path) -> None:
    rules = [
        {
            "record": f"query_{number}",
            "expr": query.replace("$__rate_interval", "5m").replace("$", ""),
        }
        for number, (_, query) in enumerate(queries())
    ]
    path = tmp_path / "queries.json"  # JSON is YAML
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))

    promtool("check", "rules", str(path))


@needs_promtool
def test_promtool_takes_the_alerts() -> None:
    promtool("check", "rules", str(ALERTS))


@needs_promtool
def test_the_alerts_fire_when_they_should_and_not_otherwise() -> None:
    promtool("test", "rules", "alerts_test.yaml", cwd=ALERTS.parent)


@needs_promtool
async def test_promtool_finds_nothing_wrong_with_the_metrics(config: ServerConfig) -> None:
    async with running_server(replace(config, admin_address="127.0.0.1:0")) as server:
        with urllib.request.urlopen(f"http://{server.admin_address}/metrics") as response:
            text = response.read()

    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, timeout=60, check=False
    )

    told = checked.stderr.decode().splitlines()
    assert [each for each in told if each.startswith(("grpc_server_", "recserve_"))] == []


def promtool(*arguments: str, cwd: Path | None = None) -> None:
    ran = subprocess.run(
        ["promtool", *arguments], cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
