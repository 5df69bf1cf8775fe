"""What an open-loop run asks for, and what came of it."""

import math
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from http2_connection import Outcomes

_LONGEST_LAG_MS = 5.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """What to send."""

    rate_per_s: float
    seconds: float
    """Time that is measured."""
    connections: int = 8
    seed: int = 1
    warmup_s: float = 0.5
    """Time before, at the same rate, that is not measured."""
    patience_s: float = 5.0
    """Time that the last answers get."""

    def __post_init__(self) -> None:
        if self.rate_per_s <= 0 or self.seconds <= 0 or not 1 <= self.connections <= 500:
            raise ValueError(
                f"rate {self.rate_per_s}, seconds {self.seconds}, connections {self.connections}: "
                "the first two must be above 0, the last from 1 to 500"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What came of the requests that were meant to leave while it was measured."""

    rate_per_s: float
    sent: int
    accepted: int
    refused: dict[str, int]
    """Answers without a message, by `grpc-status`."""
    failed: dict[str, int]
    """Broken streams and connections of the whole run, by reason."""
    unanswered: int
    """Requests of the whole run without an answer when patience ended."""
    goodput_per_s: float
    """Accepted answers that arrived while it was measured, per second."""
    latency_ms: dict[str, float | None]
    """Of accepted requests: p50, p90, p99, max; None without any."""
    refusal_p99_ms: float | None
    lag_p99_ms: float
    """How late the client itself was."""
    cpu_share: float
    """The client's share of one core."""
    niceness: int
    """The client's priority: below 0 if it was allowed to go before the server."""
    problem: str
    """Why the numbers are no measurement of the server; "" if they are."""


def summarise(
    outcomes: Outcomes, unanswered: int, client: tuple[list[float], float], load: Load
) -> Report:
    """Summarises a run.

    Args:
        outcomes: how the requests ended; time 0 is when the measured time began.
        unanswered: requests without an answer.
        client: how late each measured request left, in seconds; the client's share of a core.
        load: what was asked for.
    """
    accepted = [pair for pair in outcomes.accepted if pair[0] >= 0]
    refused = [each for each in outcomes.refused if each[0] >= 0]
    latencies_s = sorted(answered - intended for intended, answered in accepted)
    quantiles = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    lags_s, cpu_share = client
    lag_ms = _quantile_ms(sorted(lags_s), 0.99) or 0.0
    problems = [f"client late by {lag_ms:.1f} ms at p99"] if lag_ms > _LONGEST_LAG_MS else []
    if outcomes.failed:
        problems.append(f"{outcomes.failed.total()} requests failed")
    if unanswered:
        problems.append(f"{unanswered} requests unanswered after {load.patience_s:g} s")
    in_time = sum(0 <= answered < load.seconds for _, answered in outcomes.accepted)
    return Report(
        rate_per_s=load.rate_per_s,
        sent=len(lags_s),
        accepted=len(accepted),
        refused=dict(Counter(status for _, _, status in refused)),
        failed=dict(outcomes.failed),
        unanswered=unanswered,
        goodput_per_s=in_time / load.seconds,
        latency_ms={name: _quantile_ms(latencies_s, q) for name, q in quantiles.items()},
        refusal_p99_ms=_quantile_ms(sorted(each[1] - each[0] for each in refused), 0.99),
        lag_p99_ms=lag_ms,
        cpu_share=cpu_share,
        niceness=os.nice(0),
        problem="; ".join(problems),
    )


def _quantile_ms(ascending_s: Sequence[float], quantile: float) -> float | None:
    """Returns the nearest-rank quantile in milliseconds, None of nothing."""
    if not ascending_s:
        return None
    return ascending_s[max(0, math.ceil(quantile * len(ascending_s)) - 1)] * 1000
