"""What docs/operations.md tells people to type and to look at is there."""

import re
import shlex
from pathlib import Path

import pytest

from recserve_client._cli.parser import parse as parse_client
from recserve_server.cli.flags import serve_parser

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
INCIDENTS = PAGE[PAGE.index("## Incidents") :]
ELSEWHERE = re.compile(r"docker|kubectl|curl|envoy|pip|rsync|ssh|cp|ln|ps |systemctl|alias|for ")
"""Lines whose flags are not the server's."""
OF_OTHERS = {"--stop-timeout", "--health-cmd", "--percent", "--slo", "--target", "--index"}
"""Flags that the text names of Docker, of `admin`, of the client and of the trainer."""


def test_flags_of_the_server_are_there() -> None:
    text = "\n".join(line for line in PAGE.splitlines() if not ELSEWHERE.match(line))
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", re.sub(r"```.*?```", "", text, flags=re.S)))
    there = set(re.findall(r"--[a-z][a-z-]+", serve_parser().format_help()))

    assert named - OF_OTHERS - there == set()
    assert len(named - OF_OTHERS) > 10


def test_metrics_are_those_of_the_page_on_metrics() -> None:
    described = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:recserve|grpc|process)_[a-z_]+)`", PAGE))

    assert {name for name in named if name not in described} == set()
    assert len(named) > 15


@pytest.mark.parametrize("line", re.findall(r"`(recserve health [^`]+)`", PAGE))
def test_the_client_understands_what_people_are_told_to_type(line: str) -> None:
    assert parse_client(shlex.split(line)[1:], {}).command == "health"


def test_files_of_deploy_that_are_named_are_there() -> None:
    named = set(re.findall(r"deploy/[\w/.-]*\w", PAGE))

    assert {path for path in named if not (ROOT / path).exists()} == set()
    assert len(named) > 8


def test_figures_of_the_worked_example_are_those_that_were_measured() -> None:
    measured = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| 100,000 \|(.*)\|$", measured, re.M)
    cells = {row.split("|")[0].strip(): [c.strip() for c in row.split("|")] for row in rows}
    for index, column in (("exact", 1), ("scann", 2)):
        _, _, rate, _, p99_ms, rss_mib, *_ = cells[index]
        told = {
            line.split("|")[1].strip(): line.split("|")[1 + column].strip()
            for line in PAGE.splitlines()
            if line.startswith("| ") and line.count("|") == 4
        }
        half = int(rate.replace(",", "")) // 2
        assert told["calls a second at 128 in flight"] == rate
        assert told["half of it, with a p99 of"] == f"{half:,}, {round(float(p99_ms))} ms"
        assert told["memory of each, both processes"] == f"{rss_mib} MiB"
        assert told["replicas for 6,000 a second"].startswith(f"{6000 / half:.1f}, so ")


def test_every_incident_says_what_to_do() -> None:
    rows = [line for line in INCIDENTS.splitlines() if line.startswith("| ")][1:]

    assert len(rows) > 15
    assert all(len([cell for cell in row.split("|") if cell.strip()]) == 3 for row in rows)
