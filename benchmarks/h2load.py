"""Runs h2load, the closed-loop load generator of nghttp2, and reads what it prints.

h2load counts HTTP status 200, which a gRPC call has even if it was refused: `grpc-status` comes
after it. Two checks make up for that. Every answer that holds a message holds as many bytes as the
right one, so the bytes of a run must be a multiple of that, once per request; and a caller asks
with a real client before and after each run whether the answers are right.
"""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_UNIT_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0}
_SHORTEST_PILOT_S = 0.3
_COUNTS = ("total", "started", "done", "succeeded", "failed", "errored", "timeout")


class LoadError(Exception):
    """A run that measured nothing; the text says why in one line."""


@dataclass(frozen=True, slots=True)
class Question:
    """One gRPC call that is made over and over."""

    path: str
    """/package.Service/Method."""
    request: Path
    """File: the message behind its five bytes of framing."""


@dataclass(frozen=True, slots=True)
class Concurrency:
    """How many calls are under way at any time."""

    connections: int
    streams: int = 1
    """Calls per connection."""

    @property
    def in_flight(self) -> int:
        """Calls under way."""
        return self.connections * self.streams


@dataclass(frozen=True, slots=True)
class Run:
    """What h2load printed."""

    requests: int
    seconds: float
    per_s: float
    mean_ms: float
    min_ms: float
    max_ms: float
    data_bytes: int
    """Bytes of all answers, gRPC's framing included."""


def require_h2load() -> str:
    """Returns the program.

    Raises:
        LoadError: it is not installed.
    """
    program = shutil.which("h2load")
    if program is None:
        raise LoadError("h2load is missing: apt-get install nghttp2-client (Debian, Ubuntu)")
    return program


def measure(target: str, question: Question, concurrency: Concurrency, seconds: float) -> Run:
    """Keeps calls in flight for about `seconds`, after shorter runs that warm up and set the pace.

    Raises:
        LoadError: h2load is missing, or a call failed or was answered with fewer bytes.
    """
    right = run(target, question, Concurrency(1), 1)
    requests = concurrency.in_flight
    while True:
        pilot = run(target, question, concurrency, requests)
        if pilot.seconds >= _SHORTEST_PILOT_S:
            break
        requests = round(requests * min(10.0, 1.2 * _SHORTEST_PILOT_S / pilot.seconds) + 1)
    requests = max(concurrency.in_flight, round(pilot.per_s * seconds))
    found = run(target, question, concurrency, requests)
    check(target, found, right.data_bytes)
    return found


def check(target: str, found: Run, answer_bytes: int) -> None:
    """Makes sure that every answer of a run has as many bytes as the right one.

    Raises:
        LoadError: calls were refused.
    """
    if not answer_bytes or found.data_bytes != answer_bytes * found.requests:
        raise LoadError(
            f"{target}: {found.requests} answers of {answer_bytes} bytes are "
            f"{answer_bytes * found.requests} bytes, {found.data_bytes} came: calls were refused"
        )


def run(target: str, question: Question, concurrency: Concurrency, requests: int) -> Run:
    """Makes so many requests.

    Raises:
        LoadError: h2load is missing, or a request failed.
    """
    command = [require_h2load(), "-t", "1", "-c", str(concurrency.connections)]
    command += ["-m", str(concurrency.streams), "-n", str(requests), "-d", str(question.request)]
    command += ["-H", "content-type: application/grpc", "-H", "te: trailers"]
    command.append(f"http://{target}{question.path}")
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    if ran.returncode:
        raise LoadError(f"h2load ended with {ran.returncode}: {ran.stderr.strip()}")
    return parse(ran.stdout)


def parse(printed: str) -> Run:
    """Reads h2load's report.

    Raises:
        LoadError: a request failed, or the report is not what h2load 1.52 prints.
    """
    finished = re.search(r"finished in ([\d.]+)(us|ms|s), ([\d.]+) req/s", printed)
    counts = re.search("requests: " + ", ".join(rf"(\d+) {name}" for name in _COUNTS), printed)
    data = re.search(r"traffic: .*\((\d+)\) data", printed)
    times = re.search(r"time for request: " + r"\s+([\d.]+)(us|ms|s)" * 3, printed)
    if not (finished and counts and data and times):
        raise LoadError(f"h2load printed something else: {printed[-300:]!r}")
    total, *_, succeeded, failed, errored, timeout = map(int, counts.groups())
    if succeeded != total:
        raise LoadError(f"{failed} requests failed, {errored} errored, {timeout} timed out")
    low, high, mean = (float(times[i]) * _UNIT_MS[times[i + 1]] for i in (1, 3, 5))
    return Run(
        requests=total,
        seconds=float(finished[1]) * _UNIT_MS[finished[2]] / 1000,
        per_s=float(finished[3]),
        mean_ms=mean,
        min_ms=low,
        max_ms=high,
        data_bytes=int(data[1]),
    )
