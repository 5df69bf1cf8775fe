"""What the machine, or its container, allows."""

import datetime
import os
import platform
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from recserve_server.cli.doctor.finding import Finding
from recserve_server.config import ServerConfig

_FEW_FILES: Final = 256
_ENOUGH_FILES: Final = 4096
"""A connection takes a file; clients of a large fleet have a thousand."""
_RELEASED: Final = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def look_at_machine(config: ServerConfig) -> Iterator[Finding]:
    """Looks at limits, cores and the clock."""
    del config
    yield _look_at_files(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    yield _look_at_cores(len(os.sched_getaffinity(0)))
    cpu = Path("/proc/cpuinfo")
    if platform.machine() == "x86_64" and cpu.exists():
        yield _look_at_processor(cpu.read_text(encoding="utf-8", errors="replace"))
    yield _look_at_clock(datetime.datetime.now(datetime.UTC))


def _look_at_files(limit: int) -> Finding:
    what, seen = "open files", f"{limit} at most"
    advice = "ulimit -n, LimitNOFILE= of systemd, or the container's ulimits raise it to 65536"
    if limit == resource.RLIM_INFINITY or limit >= _ENOUGH_FILES:
        return Finding.ok(what, seen)
    if limit < _FEW_FILES:
        return Finding.fail(what, seen, advice)
    return Finding.warn(what, f"{seen}, one for each connection", advice)


def _look_at_cores(count: int) -> Finding:
    if count >= 2:
        return Finding.ok("cores", str(count))
    advice = "give it two: the model's process and gRPC's share this one"
    return Finding.warn("cores", str(count), advice)


def _look_at_processor(text: str) -> Finding:
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "").split()
    if flags and "avx" not in flags:
        return Finding.fail("processor", "has no AVX", "TensorFlow's wheels need one that has")
    lacking = [each.upper() for each in ("avx2", "fma") if flags and each not in flags]
    if lacking:
        seen = f"has no {' and no '.join(lacking)}"
        return Finding.warn("processor", seen, "models take longer than on one that has")
    return Finding.ok("processor", "has AVX2 and FMA" if flags else "does not tell its features")


def _look_at_clock(now: datetime.datetime) -> Finding:
    seen = now.isoformat(timespec="seconds")
    if now < _RELEASED:
        return Finding.fail("clock", seen, "set it: certificates and tokens would not be valid")
    return Finding.ok("clock", seen)
