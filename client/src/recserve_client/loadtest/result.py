"""What a load test found, as it stands in its JSON file.

The file is a `Run` as JSON: fields by name, NaN never, unknown as null. `schema_version` changes
when a field changes its meaning or goes away; new fields may come without.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

SCHEMA_VERSION: Final = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Latency:
    """Latencies of the calls that were answered OK, in milliseconds.

    In an open loop they count from the time at which a call was meant to leave, in a closed loop
    from when it left. None where there was no such call.
    """

    count: int = 0
    """How many calls."""
    mean_ms: float | None = None
    p50_ms: float | None = None
    p75_ms: float | None = None
    p90_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    p999_ms: float | None = None
    max_ms: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """A slice of a stage's time; calls belong to the slice in which they ended."""

    start_s: float
    """Since the measured time of the stage began."""
    seconds: float
    """How long it is."""
    started: int
    """Calls that were meant to leave in it."""
    ok: int
    """Calls answered OK."""
    errors: Mapping[str, int]
    """Calls that ended otherwise, by gRPC status name, or CONNECTION_LOST, STREAM_RESET, PROTOCOL
    (the server does not speak HTTP/2), NO_ANSWER (of a call without timeout)."""
    latency: Latency
    """Of the calls answered OK."""
    late: int
    """Calls that left more than a millisecond after they were meant to, by the client's doing."""
    histogram: str
    """Latencies in microseconds as an HdrHistogram, V2, compressed, base64; from 1 microsecond to
    an hour with 3 significant digits."""
    rate_per_s: float | None = None
    """What an open loop was meant to send; None in a closed loop."""
    mean_batch_size: float | None = None
    """Requests per model call, by the server's metrics; None if they were not read."""
    queue_depth: float | None = None
    """Requests that waited for a batch at the end of the window, by the server's metrics."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClientLoad:
    """How hard it was for the client itself, in the measured time."""

    processes: int
    """How many there were."""
    cpu_shares: tuple[float, ...]
    """Share of a core that each process took, from 0 to 1."""
    lag_p99_ms: float
    """How much later than meant calls left, at the 99th percentile; 0 in a closed loop."""
    lag_max_ms: float
    """The same, at worst."""
    late: int
    """Calls that left more than a millisecond late."""
    unsent: int = 0
    """Calls that were never sent, since their time had run out before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """What a sample of the answers said."""

    sampled: int = 0
    """Answers that were read."""
    personal_share: float | None = None
    """Share of them made for who asked."""
    short_share: float | None = None
    """Share with fewer items than wanted."""
    model_versions: tuple[str, ...] = ()
    """Who answered, as "films 3"."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StageResult:
    """One stage."""

    label: str
    """As "500/s" or "128 in flight"."""
    mode: str
    """`open` or `closed`."""
    arrivals: str | None
    """`poisson`, `constant` or `recorded`; None in a closed loop."""
    rate_per_s: float | None
    """Calls per second that were meant to leave, at the beginning; None in a closed loop."""
    end_rate_per_s: float | None
    """The same at the end of a ramp, else None."""
    concurrency: int | None
    """Calls always under way; None in an open loop."""
    seconds: float
    """Measured time."""
    warmup_s: float
    """Time before it."""
    started: int
    """Calls meant to leave in the measured time."""
    ok: int
    """Of these, answered OK."""
    errors: Mapping[str, int]
    """Of these, ended otherwise, by status."""
    ok_per_s: float
    """Answered OK within the measured time, per second. Calls that left in the warm-up count here,
    as do not those under way at the end: otherwise a slow server would seem slower."""
    latency: Latency
    """Of all that were answered OK."""
    percentiles: tuple[tuple[float, float], ...]
    """(percentile from 0 to 100, milliseconds), ascending, denser towards 100; for a curve."""
    histogram: str
    """All latencies, as `Window.histogram`."""
    windows: tuple[Window, ...]
    """The slices, in order."""
    client: ClientLoad
    """How hard it was for the client."""
    answers: Answers = Answers()
    """What a sample of the answers said."""
    batch_sizes: tuple[tuple[str, int], ...] = ()
    """(upper bound, model calls) of the stage, its warm-up included, by the server's metrics:
    ("8", 120) are 120 calls of more requests than the bound before, and at most 8."""
    stable: bool | None = None
    """Whether p99 of the three thirds of the stage lie within 10 % of their mean; None if unknown,
    as in a ramp."""
    holds: bool | None = None
    """Whether the stage kept the objective of a search; None if there was none."""
    warnings: tuple[str, ...] = ()
    """What makes the figures doubtful, each in a line."""

    @property
    def error_share(self) -> float:
        """Share of the calls that did not end OK, from 0 to 1."""
        failed = sum(self.errors.values())
        return failed / (self.ok + failed) if failed else 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Host:
    """The machine that sent."""

    name: str
    cpu: str
    cores: int
    memory_bytes: int
    system: str
    python: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerSeen:
    """The server as it told of itself; empty where it did not."""

    target: str
    model_name: str = ""
    model_version: int = 0
    kind: str = ""
    index: str = ""
    user_count: int = 0
    item_count: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """A condition on the result, and whether it held."""

    text: str
    """As it was given: "p99>20ms"."""
    seen: str
    """What was found instead: "p99 is 23.1 ms at 500/s"."""
    failed: bool
    """Whether the run fails by it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """The highest rate that keeps an objective."""

    objective: str
    """As "p99<=20ms, errors<=0.1%"."""
    rate_per_s: float | None
    """The highest that did; None if none did."""
    refused_rate_per_s: float | None
    """The lowest that did not; None if all did."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """A whole load test."""

    schema_version: int = SCHEMA_VERSION
    tool: str
    """As "recserve 0.1.0"."""
    started_at: str
    """ISO 8601 with time zone."""
    arguments: tuple[str, ...]
    """The command line behind `recserve loadtest`; secrets replaced."""
    seed: int
    host: Host
    versions: Mapping[str, str]
    """Of what the client is made of, by distribution."""
    server: ServerSeen
    mix: str
    """What was asked, in a line."""
    stages: tuple[StageResult, ...]
    search: Search | None = None
    conditions: tuple[Condition, ...] = ()
    warnings: tuple[str, ...] = field(default=())
    """What makes all figures doubtful."""
