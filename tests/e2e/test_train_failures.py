"""recserve-train when it cannot finish: what was there before stays as it was."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

SMALL_FILES_ONLY = (
    sys.executable,
    "-c",
    "import os, resource, sys\n"
    "resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, 12_000))\n"
    "os.execv(sys.argv[1], sys.argv[1:])",
)
"""Stands in for a full disk: a write past this size fails, whoever runs it. No `preexec_fn`, which
forks: gRPC's threads of this process, woken up in the child, have ended it now and then."""

Train = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def models_dir(trained: object, tmp_path: Path) -> Path:
    """A folder of its own in which version 1 is published."""
    assert trained.ran.returncode == 0, trained.ran.stderr
    return Path(shutil.copytree(trained.models_dir, tmp_path / "models"))


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.long
def test_a_run_that_fails_for_space_leaves_the_version_before_it_as_it_was(
    models_dir: Path, train: Train, tmp_path: Path
) -> None:
    before = contents(models_dir)

    ran = train(models_dir, "--epochs", 1, "--logs", tmp_path / "logs", through=SMALL_FILES_ONLY)

    assert ran.returncode == 1, ran.stderr
    assert "nothing was published" in ran.stderr.splitlines()[-1]
    assert "published" not in ran.stdout
    assert contents(models_dir) == before
    assert {path.name for path in (models_dir / "films").iterdir()} == {"1", "logs"}


@pytest.mark.long
def test_data_half_prepared_by_an_interrupted_run_is_prepared_anew_by_the_next(
    train: Train, tmp_path: Path
) -> None:
    flags = ["--data-dir", tmp_path / "tfds", "--dataset", "recserve_synthetic/100x80x4000@1"]
    command = [sys.executable, "-m", "recserve_trainer", "--models", tmp_path, *flags]
    with subprocess.Popen([*map(str, command)], stderr=subprocess.PIPE, text=True) as process:
        said = ""
        for line in process.stderr:
            said += line
            if line.startswith("preparing") and "-ratings" in line:
                process.send_signal(signal.SIGTERM)
                break
        said += process.stderr.read()
    assert process.returncode == 1
    assert said.splitlines()[-1] == "recserve-train: interrupted, nothing was published"
    assert "epoch" not in said

    ran = train(tmp_path / "models", *flags, "--epochs", 1)

    assert ran.returncode == 0, ran.stderr
    assert "100 users, 80 items; interactions: " in ran.stderr
