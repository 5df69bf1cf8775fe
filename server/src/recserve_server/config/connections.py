"""What a connection may cost."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class ConnectionsConfig:
    """Bounds of connections and of what arrives on them."""

    max_message_bytes: int = 1_048_576
    """Largest request accepted."""
    max_metadata_bytes: int = 8192
    """Metadata of a call; from here on calls are refused at random, beyond twice that all are."""
    max_concurrent_streams: int = 256
    """Calls at a time on one connection; further ones wait in the client."""
    max_pending: int = 1024
    """Calls that have arrived and that the server has not looked at yet; one more is let go by
    gRPC itself, which callers see as CANCELLED."""
    min_ping_interval_s: float = 10.0
    """Shortest time between two pings of a client on one connection; who pings faster is cut off.
    The SDK pings each 30 seconds, by default."""
    max_age_s: float = 1800.0
    """Age at which a connection is asked to be made anew, so that calls spread over new replicas;
    10 % more or less at random. 0 for never."""
    max_age_grace_s: float = 30.0
    """Time that calls on such a connection get to end."""
    max_idle_s: float = 900.0
    """Time without a call after which a connection is closed; 0 for never."""
    keepalive_s: float = 60.0
    """Silence after which the server looks whether the client is still there; 0 for never."""
    keepalive_timeout_s: float = 20.0
    """Time for the client to answer that."""

    def __post_init__(self) -> None:
        self._check_counts()
        if not 0 < self.min_ping_interval_s <= 3600:
            raise ValueError(
                f"min_ping_interval is {self.min_ping_interval_s}, must be above 0, at most 3600 "
                "seconds"
            )
        for flag, seconds in (
            ("max_connection_age", self.max_age_s),
            ("max_connection_age_grace", self.max_age_grace_s),
            ("max_connection_idle", self.max_idle_s),
            ("keepalive", self.keepalive_s),
            ("keepalive_timeout", self.keepalive_timeout_s),
        ):
            if not 0 <= seconds <= 86_400:
                raise ValueError(f"{flag} is {seconds}, must be from 0 to 86400 seconds")

    def _check_counts(self) -> None:
        for flag, count, least, most in (
            ("max_pending", self.max_pending, 1, 1_000_000),
            ("max_message_bytes", self.max_message_bytes, 1024, 1 << 30),
            ("max_metadata_bytes", self.max_metadata_bytes, 1024, 1 << 20),
            ("max_concurrent_streams", self.max_concurrent_streams, 1, 1_000_000),
        ):
            if not least <= count <= most:
                raise ValueError(f"{flag} is {count}, must be from {least} to {most}")
