"""The server's settings: data, checked at birth."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchingConfig:
    """How requests are gathered into model calls; none of it has to be set."""

    max_batch_size: int = 256
    """Requests per model call."""
    batch_timeout_micros: int = 10_000
    """Longest that a request waits for company while the server is busy with other calls."""
    max_enqueued: int = 1024
    """Requests waiting; beyond it QUEUE_FULL."""
    allowed_batch_sizes: tuple[int, ...] = ()
    """Ascending batch sizes that the model is called with, smaller batches being padded; the last
    is `max_batch_size`. Empty means 1, 2, 4, 8 and on in steps of at most a half."""
    watchdog_s: float = 30.0
    """A model call that takes longer counts as hanging: health turns to NOT_SERVING."""

    def __post_init__(self) -> None:
        if not 1 <= self.max_batch_size <= 4096:
            raise ValueError(f"max_batch_size is {self.max_batch_size}, must be from 1 to 4096")
        if not 0 <= self.batch_timeout_micros <= 1_000_000:
            raise ValueError(
                f"batch_timeout_micros is {self.batch_timeout_micros}, must be from 0 to 1000000"
            )
        if not self.max_batch_size <= self.max_enqueued <= 1_000_000:
            raise ValueError(
                f"max_enqueued is {self.max_enqueued}, must be from max_batch_size "
                f"({self.max_batch_size}) to 1000000"
            )
        if not 0 < self.watchdog_s <= 3600:
            raise ValueError(
                f"watchdog is {self.watchdog_s}, must be above 0, at most 3600 seconds"
            )
        sizes = self.allowed_batch_sizes
        if sizes and (
            sizes[0] < 1 or sizes[-1] != self.max_batch_size or sorted(set(sizes)) != list(sizes)
        ):
            raise ValueError(
                f"allowed_batch_sizes is {','.join(map(str, sizes))}, must ascend from 1 or more "
                f"to max_batch_size ({self.max_batch_size})"
            )

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """The allowed batch sizes, given or by default."""
        if self.allowed_batch_sizes:
            return self.allowed_batch_sizes
        steps = {size for power in range(13) for size in (2**power, 3 * 2 ** (power - 1))}
        usual = {int(size) for size in steps if size >= 8 or size in (1, 2, 4)}
        return (*sorted(size for size in usual if size < self.max_batch_size), self.max_batch_size)


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What a request may ask for."""

    max_k: int = 500
    """Largest k."""
    max_id_bytes: int = 128
    """Longest id or name, in UTF-8 bytes."""
    max_batch_requests: int = 256
    """Requests in one BatchRecommend."""
    max_history: int = 1000
    """Entries of a history."""
    max_features: int = 64
    """Features of a user."""
    max_excluded: int = 1000
    """Items that must not come back."""
    max_allowed: int = 10_000
    """Items that alone may come back."""
    max_filters: int = 16
    """Conditions on attributes."""
    max_filter_values: int = 100
    """Values in one condition."""
    max_caps: int = 8
    """Attributes whose values may occur so many times only."""
    max_rank_items: int = 1000
    """Items in one RankItems."""
    max_similar_items: int = 100
    """Items in one FindSimilarItems."""
    max_events: int = 1000
    """Events in one RecordEvents."""

    def __post_init__(self) -> None:
        if not 1 <= self.max_k <= 1_000_000:
            raise ValueError(f"max_k is {self.max_k}, must be from 1 to 1000000")

    @property
    def default_k(self) -> int:
        """K of a request that does not say: 10, or `max_k` if that is less."""
        return min(10, self.max_k)


@dataclass(frozen=True, kw_only=True, slots=True)
class EventsConfig:
    """Where and how long events are kept."""

    location: str = ""
    """A path for SQLite, a URL for Redis or Valkey; empty for no events."""
    retention_days: float = 30.0
    """Age at which an event no longer counts, and is deleted; 0 for never."""
    max_per_user: int = 200
    """Newest events of a user that count."""
    read_timeout_ms: float = 10.0
    """Longest that an answer waits for events; then it is given without."""
    write_timeout_ms: float = 2000.0
    """Longest that RecordEvents waits for the store."""
    probe_interval_s: float = 1.0
    """Time between two tries while the store does not answer."""

    def __post_init__(self) -> None:
        if not 0 <= self.retention_days <= 36_500:
            raise ValueError(
                f"events_retention_days is {self.retention_days}, must be from 0 to 36500"
            )
        if not 1 <= self.max_per_user <= 10_000:
            raise ValueError(f"events_max_per_user is {self.max_per_user}, must be 1 to 10000")
        for name, number in (
            ("events_read_timeout_ms", self.read_timeout_ms),
            ("events_write_timeout_ms", self.write_timeout_ms),
            ("probe_interval_s", self.probe_interval_s),
        ):
            if not 0 < number <= 60_000:
                raise ValueError(f"{name} is {number}, must be above 0, at most 60000")


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerConfig:
    """One server process."""

    models_dir: Path
    """Folder that holds NAME/VERSION folders."""
    name: str = ""
    """Model to serve; empty means the only one in `models_dir`."""
    address: str = "localhost:8500"
    """HOST:PORT to listen on; port 0 picks a free one."""
    admin_address: str = ""
    """HOST:PORT to answer GET /metrics on; port 0 picks a free one, empty means none."""
    reflection: bool = False
    """Whether to answer gRPC server reflection."""
    drain_delay_s: float = 0.0
    """Time between NOT_SERVING and refusing calls, for load balancers to notice."""
    grace_s: float = 10.0
    """Time that calls in flight get to finish at shutdown."""
    max_message_bytes: int = 1_048_576
    """Largest request accepted."""
    max_pending: int = 1024
    """Calls that have arrived and that the server has not looked at yet; one more is let go by
    gRPC itself, which callers see as CANCELLED."""
    min_ping_interval_s: float = 10.0
    """Shortest time between two pings of a client on one connection; who pings faster is cut off.
    The SDK pings each 30 seconds, by default."""
    log_level: str = "info"
    """Least severe records that are logged, a name of `logging` in lower case."""
    log_format: str = "auto"
    """`json`, `text`, or `auto`: text on a terminal."""
    batching: BatchingConfig = BatchingConfig()
    limits: Limits = Limits()
    events: EventsConfig = EventsConfig()

    def __post_init__(self) -> None:
        _check_address("address", self.address)
        if self.admin_address:
            _check_address("admin_address", self.admin_address)
        for flag, seconds in (("drain_delay", self.drain_delay_s), ("grace", self.grace_s)):
            if not 0 <= seconds <= 3600:
                raise ValueError(f"{flag} is {seconds}, must be from 0 to 3600 seconds")
        if not 0 < self.min_ping_interval_s <= 3600:
            raise ValueError(
                f"min_ping_interval is {self.min_ping_interval_s}, must be above 0, at most 3600 "
                "seconds"
            )
        if not 1 <= self.max_pending <= 1_000_000:
            raise ValueError(f"max_pending is {self.max_pending}, must be from 1 to 1000000")
        if self.batching.max_enqueued < self.limits.max_batch_requests:
            raise ValueError(
                f"max_enqueued is {self.batching.max_enqueued}, must be "
                f"{self.limits.max_batch_requests} or more for a BatchRecommend to fit"
            )


def _check_address(name: str, address: str) -> None:
    host, separator, port = address.rpartition(":")
    if not (separator and host and port.isdecimal() and int(port) <= 65535):
        raise ValueError(f"{name} is {address!r}, must be HOST:PORT, PORT 0 to 65535")
