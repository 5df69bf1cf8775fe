"""`make demo`, on the smallest dataset."""

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow, pytest.mark.long]


def test_the_demo_trains_serves_asks_and_leaves_nothing_running(
    data_dir: Path, tmp_path: Path
) -> None:
    command = [sys.executable, str(Path(__file__).with_name("demo.py"))]
    command += ["--dataset", "recserve_synthetic/60x50x1500@1", "--data-dir", str(data_dir)]
    ran = subprocess.run(
        [*command, "--models", str(tmp_path)], capture_output=True, text=True, timeout=110
    )

    assert ran.returncode == 0, ran.stderr
    assert "user 42, by user_id, model films version 1" in ran.stdout
    assert "by popularity (unknown_user)" in ran.stdout
    assert len(re.findall(r"^ +\d+\. .+\(\d{4}\) +-?\d+\.\d{3}$", ran.stdout, re.MULTILINE)) == 13
    assert re.search(r"latency: \d+\.\d\d ms", ran.stdout)
    port = int(re.search(r"on 127\.0\.0\.1:(\d+)", ran.stdout)[1])
    with pytest.raises(ConnectionRefusedError), socket.socket() as probe:
        probe.connect(("127.0.0.1", port))


def test_a_demo_that_fails_says_at_which_step(tmp_path: Path) -> None:
    command = [sys.executable, str(Path(__file__).with_name("demo.py")), "--dataset", "imdb/1"]
    command += ["--data-dir", str(tmp_path), "--models", str(tmp_path)]

    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert ran.returncode == 1
    assert "recserve-train: error: dataset is 'imdb/1', must be auto" in ran.stderr
    assert ran.stderr.splitlines()[-1] == "demo: recserve_trainer failed, see above"
