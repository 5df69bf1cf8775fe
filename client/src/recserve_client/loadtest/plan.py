"""What a load test sends, where to and for how long: data, checked at birth."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from recserve_client._cli.access import TlsFiles

MAX_CONNECTIONS: Final = 1000
"""Connections of all processes together."""


class PlanError(ValueError):
    """A load test that cannot be run as asked; the text is for whoever asked."""


class Arrivals(StrEnum):
    """How the calls of an open loop are spread over time."""

    POISSON = "poisson"
    """Independently of one another, as many separate users call."""
    CONSTANT = "constant"
    """At equal distances."""
    RECORDED = "recorded"
    """At the times of a recording."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenLoop:
    """Calls leave at their own times, whether or not the server keeps up."""

    rate_per_s: float
    """Calls per second at the beginning."""
    end_rate_per_s: float | None = None
    """Calls per second at the end, reached by a straight line; None means the same."""
    arrivals: Arrivals = Arrivals.POISSON
    """How they are spread."""

    def __post_init__(self) -> None:
        """Raises PlanError if a rate is out of range."""
        for rate in (self.rate_per_s, self.end_rate_per_s):
            if rate is not None and not 0 < rate <= 1_000_000:
                raise PlanError(f"a rate is {rate:g}, must be above 0, at most 1000000 per second")

    @property
    def label(self) -> str:
        """Names it in tables."""
        if self.end_rate_per_s is None:
            return f"{self.rate_per_s:g}/s"
        return f"{self.rate_per_s:g}..{self.end_rate_per_s:g}/s"


@dataclass(frozen=True, kw_only=True, slots=True)
class ClosedLoop:
    """So many calls are always under way; each answer lets the next call leave."""

    concurrency: int
    """Calls under way, of all processes together."""

    def __post_init__(self) -> None:
        """Raises PlanError if it is out of range."""
        if not 1 <= self.concurrency <= 100_000:
            raise PlanError(f"concurrency is {self.concurrency}, must be from 1 to 100000")

    @property
    def label(self) -> str:
        """Names it in tables."""
        return f"{self.concurrency} in flight"


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """A part of a load test with one result."""

    pressure: OpenLoop | ClosedLoop
    """How calls leave."""
    seconds: float = 30.0
    """Time that is measured."""
    warmup_s: float = 2.0
    """Time before, under the same pressure (the first rate of a ramp), that is not measured."""

    def __post_init__(self) -> None:
        """Raises PlanError if a time is out of range."""
        if not 0.1 <= self.seconds <= 86_400:
            raise PlanError(f"duration is {self.seconds:g}, must be from 0.1 to 86400 seconds")
        if not 0 <= self.warmup_s <= 3600:
            raise PlanError(f"warmup is {self.warmup_s:g}, must be from 0 to 3600 seconds")


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """Whom to ask, and through how many connections."""

    host: str
    """Name or address."""
    port: int
    """TCP port."""
    connections: int = 8
    """Connections of all processes together; at least one per process."""
    timeout_s: float | None = 1.0
    """Deadline of each call from when it leaves; the server is told, and after it the call is
    cancelled and counts as DEADLINE_EXCEEDED. None means that there is none."""
    metadata: tuple[tuple[str, str], ...] = ()
    """Sent with each call, such as `authorization`; names in lower case."""
    tls: TlsFiles | None = None
    """Secures the connections; None means plain text."""

    def __post_init__(self) -> None:
        """Raises PlanError if a field is out of range."""
        if not 1 <= self.port <= 65_535:
            raise PlanError(f"port is {self.port}, must be from 1 to 65535")
        if not 1 <= self.connections <= MAX_CONNECTIONS:
            raise PlanError(
                f"connections is {self.connections}, must be from 1 to {MAX_CONNECTIONS}"
            )
        if self.timeout_s is not None and not 0.001 <= self.timeout_s <= 3600:
            raise PlanError(f"timeout is {self.timeout_s:g}, must be from 0.001 to 3600 seconds")

    @property
    def server_name(self) -> str:
        """Name to find in the server's certificate, if there is TLS."""
        return (self.tls.server_name if self.tls is not None else "") or self.host


@dataclass(frozen=True, slots=True)
class Question:
    """One call, encoded."""

    method: str
    """Path as in gRPC: "/recserve.v1.RecommendationService/Recommend"."""
    message: bytes
    """The encoded request, without gRPC's framing, of any size. Above 16,379 bytes it leaves in
    parts, as fast as the server reads."""
