"""Where events are kept."""

from dataclasses import dataclass


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
