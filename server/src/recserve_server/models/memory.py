"""Whether a version fits into memory beside what is loaded."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

_MIB: Final = 1 << 20
_EMPTY_PROCESS_BYTES: Final = 400 * _MIB
"""What a model process takes before its model: Python, NumPy, TensorFlow (docs/performance.md)."""
_BYTES_PER_FILE_BYTE: Final = 3.0
"""What the process takes for each byte of a version's files, at its worst moment: the vectors once
in the graph and once while they are read, and Python's objects for every id and title."""


def bytes_needed(files_bytes: int) -> int:
    """Returns how much memory a version is estimated to need while it is loaded.

    Args:
        files_bytes: size of all its files.
    """
    return _EMPTY_PROCESS_BYTES + int(_BYTES_PER_FILE_BYTE * files_bytes)


def bytes_available(proc: Path = Path("/proc"), cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Returns how much memory could be had without swapping, a container's limit respected.

    As much as one likes where the system does not tell.
    """
    found = [_of_machine(proc), _of_cgroup(cgroup)]
    return min((each for each in found if each is not None), default=1 << 62)


def resident_bytes(process_ids: Sequence[int], proc: Path = Path("/proc")) -> int:
    """Returns the memory that processes take now; those that are gone take none."""
    return sum(_field(proc / str(each) / "status", "VmRSS:") or 0 for each in process_ids)


def in_mib(size_bytes: int) -> str:
    """Returns a size for a person."""
    return f"{size_bytes / _MIB:,.0f} MiB"


def _of_machine(proc: Path) -> int | None:
    return _field(proc / "meminfo", "MemAvailable:")


def _of_cgroup(cgroup: Path) -> int | None:
    try:
        limit = (cgroup / "memory.max").read_text().strip()
        used = int((cgroup / "memory.current").read_text())
    except (OSError, ValueError):
        return None
    # Cached files count as used, but give way.
    cached = _field(cgroup / "memory.stat", "inactive_file ", unit_bytes=1) or 0
    return None if limit == "max" else max(0, int(limit) - used + cached)


def _field(path: Path, name: str, unit_bytes: int = 1024) -> int | None:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith(name):
            return int(line.split()[1]) * unit_bytes
    return None
