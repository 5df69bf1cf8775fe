"""What a Dockerfile says, and its build stage done in a folder instead of an image."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "deploy" / "docker"


@dataclass(frozen=True)
class Instruction:
    name: str
    text: str


def stages(path: Path) -> list[list[Instruction]]:
    """Returns the instructions of each stage, FROM first."""
    found: list[list[Instruction]] = []
    for instruction in _instructions(path.read_text(encoding="utf-8")):
        if instruction.name == "FROM":
            found.append([])
        if found:
            found[-1].append(instruction)
    return found


def texts(stage: list[Instruction], name: str) -> list[str]:
    return [each.text for each in stage if each.name == name]


def build(stage: list[Instruction], folder: Path) -> Path:
    """Does a stage's COPY and RUN with `folder` for the root; returns the environment made."""
    subprocess.run([sys.executable, "-m", "venv", folder / "python"], check=True, timeout=120)
    source, made = folder / "src", folder / "opt" / "recserve"
    source.mkdir()
    variables = {
        name: value.replace("/opt/recserve", str(made))
        for text in texts(stage, "ENV")
        for name, _, value in (pair.partition("=") for pair in shlex.split(text))
    }
    path = f"{folder / 'python' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, **variables, "PATH": path}
    for instruction in stage:
        if instruction.name == "COPY":
            _copy(instruction.text, source)
        elif instruction.name == "RUN":
            command = re.sub(r"--mount=\S+\s+", "", instruction.text)
            subprocess.run(["sh", "-ec", command], cwd=source, env=environment, check=True)
    return made


def _copy(text: str, source: Path) -> None:
    *names, target = shlex.split(text)
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in names:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / target, ignore=ignored, dirs_exist_ok=True)
        else:
            to = source / target
            to = to / Path(name).name if target.endswith("/") else to
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, to)


def _instructions(text: str) -> Iterator[Instruction]:
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        name, _, rest = line.partition(" ")
        yield Instruction(name, rest.strip())
