"""Calls at a given rate, whether or not the server keeps up: the SDK's load tester, one process."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from h2load import Question

from recserve_client.loadtest import plan
from recserve_client.loadtest.fleet import Fleet
from recserve_client.loadtest.result import StageResult

_LONGEST_LAG_MS = 5.0
_PRIORITY = -10
_FAILURES = ("CONNECTION_LOST", "STREAM_RESET", "PROTOCOL", "NO_ANSWER")


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """What to send; arrivals are a Poisson process."""

    rate_per_s: float
    seconds: float
    """Time that is measured."""
    seed: int
    deadline_ms: int | None = None
    """Deadline of each call; None means that there is none."""
    connections: int = 8
    warmup_s: float = 0.5
    """Time before, at the same rate, that is not measured."""


def measure(target: str, question: Question, load: Load) -> dict[str, Any]:
    """Sends the load and waits for the answers.

    Args:
        target: HOST:PORT.
        question: what to ask, over and over.
        load: how much of it.

    Returns:
        As JSON has it: `goodput_per_s`, answers in the measured time; `latency_ms` of accepted
        calls from when they were meant to leave; `refused` by status; `problem`, why the numbers
        are no measurement of the server, "" if they are; and what the client itself took.

    Raises:
        RecommenderError: the server cannot be reached.
        PlanError: nothing can be sent like this.
    """
    host, _, port = target.rpartition(":")
    timeout_s = None if load.deadline_ms is None else load.deadline_ms / 1000
    endpoint = plan.Endpoint(
        host=host, port=int(port), connections=load.connections, timeout_s=timeout_s
    )
    stage = plan.Stage(
        pressure=plan.OpenLoop(rate_per_s=load.rate_per_s),
        seconds=load.seconds,
        warmup_s=load.warmup_s,
    )
    message = question.request.read_bytes()[5:]  # the file has gRPC's framing
    with contextlib.ExitStack() as stack:
        with _going_first():
            asked = [plan.Question(question.path, message)]
            fleet = stack.enter_context(Fleet(endpoint, asked, seed=load.seed))
        return _report(fleet.run(stage))


@contextlib.contextmanager
def _going_first() -> Iterator[None]:
    """Makes processes that start inside go before others, as if they had their own machine."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    # Who may not is told by the lag.
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, _PRIORITY)
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, before)


def _report(found: StageResult) -> dict[str, Any]:
    latency, client = found.latency, found.client
    failed = {status: count for status, count in found.errors.items() if status in _FAILURES}
    lag_ms = client.lag_p99_ms
    problems = [f"client late by {lag_ms:.1f} ms at p99"] if lag_ms > _LONGEST_LAG_MS else []
    if failed:
        problems.append(f"{sum(failed.values())} requests failed")
    return {
        "rate_per_s": found.rate_per_s,
        "sent": found.started,
        "accepted": found.ok,
        "refused": {name: count for name, count in found.errors.items() if name not in failed},
        "failed": failed,
        "goodput_per_s": found.ok_per_s,
        "latency_ms": {
            "p50": latency.p50_ms,
            "p90": latency.p90_ms,
            "p99": latency.p99_ms,
            "max": latency.max_ms,
        },
        "lag_p99_ms": lag_ms,
        "cpu_share": max(client.cpu_shares),
        "problem": "; ".join(problems),
    }
