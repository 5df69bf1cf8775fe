"""A short run of the whole: real training, servers, store and clients."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).with_name("run.py")


@pytest.mark.tensorflow
@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_replica_is_killed_and_nothing_is_wrong_or_lost(tmp_path: Path) -> None:
    report, table = tmp_path / "chaos.json", tmp_path / "chaos.md"
    flags = ("--minutes", "0.1", "--faults", "replica-killed", "--store", "sqlite")
    places = ("--work", tmp_path / "work", "--report", report, "--markdown", table)

    ran = subprocess.run(
        [sys.executable, RUN, *flags, *places], capture_output=True, text=True, timeout=840
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    found = json.loads(report.read_text())
    [row] = found["rows"]
    assert row["fault"] == "replica-killed"
    assert row["calls"] > 100
    assert not row["broken"]
    assert found["acknowledged"] > 0
    assert "| replica-killed |" in table.read_text()


def test_a_fault_that_there_is_not_is_refused_with_a_list() -> None:
    ran = subprocess.run(
        [sys.executable, RUN, "--faults", "flood"], capture_output=True, text=True, timeout=60
    )

    assert ran.returncode == 2
    assert "unknown faults flood, must be of replica-killed" in ran.stderr
