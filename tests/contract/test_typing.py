"""What a strict type checker says of code that uses the SDK."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "typing"


def checked(tmp_path: Path, name: str) -> "subprocess.CompletedProcess[str]":
    # Without the project's own settings, as in a user's project.
    empty = tmp_path / "mypy.ini"
    empty.write_text("[mypy]\n")
    return subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--warn-unreachable"),
            *("--enable-error-code", "ignore-without-code", "--no-error-summary"),
            *("--config-file", str(empty), "--cache-dir", str(tmp_path / "cache")),
            FOLDER / name,
        ],
        capture_output=True,
        text=True,
        timeout=110,
        cwd=tmp_path,
    )


@pytest.mark.slow
def test_right_use_passes_and_each_misuse_fails_strict_type_checking(tmp_path: Path) -> None:
    right = checked(tmp_path, "use.py")
    wrong = checked(tmp_path, "misuse.py")

    assert (right.stdout, right.returncode) == ("", 0)
    refused = {int(line) for line in re.findall(r"misuse\.py:(\d+): error", wrong.stdout)}
    lines = (FOLDER / "misuse.py").read_text("utf-8").splitlines()
    marked = {number for number, line in enumerate(lines, 1) if "# wrong: " in line}
    assert refused == marked, wrong.stdout
