"""What the numbers were measured on: they mean nothing without it."""

import datetime
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from h2load import require_h2load

_PACKAGES = ("grpcio", "numpy", "protobuf", "recserve-server", "scann", "tensorflow")
_BUSY_LOAD = 0.5


def describe() -> dict[str, Any]:
    """Returns machine, versions and state, as JSON has them."""
    here = str(Path(__file__).parent)
    return {
        "started_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "system": platform.platform(),
        "commit": _said("git", "-C", here, "rev-parse", "HEAD"),
        "uncommitted_changes": _said("git", "-C", here, "status", "--porcelain") != "",
        "versions": {
            "python": platform.python_version(),
            "h2load": (_said(require_h2load(), "--version") or "").rpartition("/")[2],
            **{name: _version(name) for name in _PACKAGES},
        },
    }


def warnings(machine: dict[str, Any]) -> list[str]:
    """Returns what speaks against numbers from here and now."""
    load = machine["load_average"]
    if load <= _BUSY_LOAD:
        return []
    return [f"warning: the load average is {load:.2f}: something else runs, numbers may be wrong"]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _said(*command: str) -> str | None:
    """Returns what a program prints, None if it fails or is not there."""
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return ran.stdout.strip()
