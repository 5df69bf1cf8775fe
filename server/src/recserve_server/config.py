"""The server's settings: data, checked at birth."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchingConfig:
    """How single requests are gathered into one model call."""

    max_batch_size: int = 128
    """Requests per model call."""
    max_enqueued: int = 1024
    """Requests waiting; one more is refused with QUEUE_FULL."""

    def __post_init__(self) -> None:
        if not 1 <= self.max_batch_size <= 4096:
            raise ValueError(f"max_batch_size is {self.max_batch_size}, must be from 1 to 4096")
        if not self.max_batch_size <= self.max_enqueued <= 1_000_000:
            raise ValueError(
                f"max_enqueued is {self.max_enqueued}, must be from max_batch_size "
                f"({self.max_batch_size}) to 1000000"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What a request may ask for."""

    max_k: int = 500
    """Largest k."""
    max_id_bytes: int = 128
    """Longest id or name, in UTF-8 bytes."""

    def __post_init__(self) -> None:
        if not 1 <= self.max_k <= 1_000_000:
            raise ValueError(f"max_k is {self.max_k}, must be from 1 to 1000000")

    @property
    def default_k(self) -> int:
        """K of a request that does not say: 10, or `max_k` if that is less."""
        return min(10, self.max_k)


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerConfig:
    """One server process."""

    models_dir: Path
    """Folder that holds NAME/VERSION folders."""
    name: str = ""
    """Model to serve; empty means the only one in `models_dir`."""
    address: str = "localhost:8500"
    """HOST:PORT to listen on; port 0 picks a free one."""
    reflection: bool = False
    """Whether to answer gRPC server reflection."""
    drain_delay_s: float = 0.0
    """Time between NOT_SERVING and refusing calls, for load balancers to notice."""
    grace_s: float = 10.0
    """Time that calls in flight get to finish at shutdown."""
    max_message_bytes: int = 1_048_576
    """Largest request accepted."""
    batching: BatchingConfig = BatchingConfig()
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        host, separator, port = self.address.rpartition(":")
        if not (separator and host and port.isdecimal() and int(port) <= 65535):
            raise ValueError(f"address is {self.address!r}, must be HOST:PORT, PORT 0 to 65535")
        for flag, seconds in (("drain_delay", self.drain_delay_s), ("grace", self.grace_s)):
            if not 0 <= seconds <= 3600:
                raise ValueError(f"{flag} is {seconds}, must be from 0 to 3600 seconds")
