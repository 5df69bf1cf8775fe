"""What a server has to tell at one moment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from recserve.artifact.v1 import manifest_pb2
from recserve_server.events.recorded import RecordedEvents
from recserve_server.observing.heartbeat import Heartbeat
from recserve_server.stats import (
    AnswerStats,
    BatchStats,
    CallStats,
    RequestLogStats,
    VersionStats,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedReadings:
    """One version that is in memory; its series end when it is no longer told of."""

    manifest: manifest_pb2.Manifest
    load_time_s: float
    """When it had been loaded, in Unix time."""
    batches: BatchStats
    """What its batcher did."""
    answers: AnswerStats
    queue_depth: int = 0
    """Requests that wait for a batch."""
    tenants: int = 0
    """Tenants who wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReadings:
    """How versions come and go."""

    versions: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """Versions on disk, by model and state, as `recserve_server.models.version.State` has them;
    of every model that is served."""
    stats: VersionStats = field(default_factory=VersionStats)
    golden_overlap: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """Share of expected items that the newest version answered, by model and by what expected
    them: `export` or `serving`."""
    canary_share: Mapping[str, float] = field(default_factory=dict)
    """Share of users who get the canary, 0 to 1, by model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityReadings:
    """Who was not let in, and how fresh secrets are."""

    auth_refused: Mapping[str, int] = field(default_factory=dict)
    """Calls refused, by reason, those that never happened as 0."""
    callers_reloads: Mapping[str, int] = field(default_factory=dict)
    """Times that the callers' file was read again, by outcome: `loaded`, `failed`."""
    tls_rotations: Mapping[str, int] = field(default_factory=dict)
    """Times that changed certificates were read, by outcome: `loaded`, `failed`."""
    certificate_expiry_s: float | None = None
    """When the server's certificate ends, in Unix time; None without TLS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """All of it."""

    calls: CallStats
    is_serving: bool
    """Whether health says SERVING."""
    is_draining: bool = False
    """Whether the server is on its way out."""
    loaded: Sequence[LoadedReadings] = ()
    retired: BatchStats = field(default_factory=BatchStats)
    """What batchers did that have gone, added up by `BatchStats.absorb`."""
    models: ModelReadings = field(default_factory=ModelReadings)
    security: SecurityReadings = field(default_factory=SecurityReadings)
    events: RecordedEvents | None = None
    """What keeps events, if anything does."""
    heartbeat: Heartbeat | None = None
    request_log: RequestLogStats | None = None
    """What became of the request log's lines, if there is one."""
