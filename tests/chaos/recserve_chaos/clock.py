"""Lets one process believe in another wall clock, by a library that is loaded before all others."""

import os
import shutil
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

_TRIED_S = 3600
_SOURCE = Path(__file__).with_name("clock_shim.c")


@dataclass(frozen=True)
class ClockFile:
    """Where the offset stands, and the environment of a process that reads it."""

    path: Path
    library: Path

    @property
    def env(self) -> dict[str, str]:
        """What the process must be started with."""
        return {"LD_PRELOAD": str(self.library), "CHAOS_CLOCK": str(self.path)}


def compile_shim(folder: Path) -> tuple[ClockFile | None, str]:
    """Compiles the library; returns None and why if that cannot be."""
    if shutil.which("gcc") is None:
        return None, "gcc is not installed"
    made = ClockFile(folder / "clock", folder / "clock_shim.so")
    set_offset(made.path, 0)
    command = ["gcc", "-O2", "-shared", "-fPIC", "-o", str(made.library), str(_SOURCE), "-ldl"]
    ran = subprocess.run(command, capture_output=True, text=True)
    if ran.returncode:
        return None, ran.stderr.strip()
    return (made, "") if _works(made) else (None, "a library cannot be loaded before others here")


def _works(made: ClockFile) -> bool:
    set_offset(made.path, _TRIED_S)
    command = [sys.executable, "-c", "import time; print(time.time())"]
    env = {**os.environ, **made.env}
    ran = subprocess.run(command, capture_output=True, text=True, env=env, check=True)
    set_offset(made.path, 0)
    return float(ran.stdout) - time.time() > _TRIED_S / 2


def set_offset(path: Path, seconds: int) -> None:
    """Moves the clock of whoever reads the file, in one step."""
    with path.open("r+b" if path.exists() else "wb") as file:
        file.write(struct.pack("=q", seconds))
