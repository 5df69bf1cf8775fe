"""Each fuzz target, for a moment: it runs, and finds nothing at once."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="needs atheris (pip install atheris)"
)
RUNS = {
    "fuzz_requests": 2000,
    "fuzz_page_tokens": 2000,
    "fuzz_manifest": 300,  # each of these writes a file, and reads three
    "fuzz_callers": 2000,
    "fuzz_labels": 300,
}


def fuzz(target: str, folder: Path, *flags: str) -> None:
    script = Path(__file__).with_name(f"{target}.py")
    ran = subprocess.run(
        [sys.executable, str(script), "-seed=1", *flags],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr[-4000:]
    assert "Done " in ran.stderr


def test_every_target_is_run_here() -> None:
    assert {path.stem for path in Path(__file__).parent.glob("fuzz_*.py")} == set(RUNS)


@pytest.mark.parametrize("target", RUNS)
@pytest.mark.long
def test_nothing_but_a_refusal_leaves_the_code_under_fuzz(target: str, tmp_path: Path) -> None:
    fuzz(target, tmp_path, f"-runs={RUNS[target]}")


@pytest.mark.long
@pytest.mark.parametrize("target", RUNS)
def test_nor_does_anything_within_a_minute(target: str, tmp_path: Path) -> None:
    fuzz(target, tmp_path, "-max_total_time=60")
