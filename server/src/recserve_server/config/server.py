"""One server process's settings."""

from dataclasses import dataclass
from pathlib import Path

from recserve_server.config.access import AccessConfig, TlsConfig
from recserve_server.config.batching import BatchingConfig
from recserve_server.config.connections import ConnectionsConfig
from recserve_server.config.events import EventsConfig
from recserve_server.config.limits import Limits
from recserve_server.config.observing import ObservingConfig
from recserve_server.config.versions import VersionsConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerConfig:
    """One server process."""

    models_dir: Path
    """Folder that holds NAME/VERSION folders."""
    name: str = ""
    """Models to serve, NAME or NAME,NAME,...; requests that name none get the first. Empty means
    the only one in `models_dir`."""
    address: str = "localhost:8500"
    """HOST:PORT to listen on; port 0 picks a free one."""
    admin_address: str = ""
    """HOST:PORT to answer GET /metrics on; port 0 picks a free one, empty means none."""
    admin_socket: Path | None = None
    """Where `recserve-serve admin` reaches the server; None means that it cannot."""
    reflection: bool = False
    """Whether to answer gRPC server reflection."""
    drain_delay_s: float = 0.0
    """Time between NOT_SERVING and refusing calls, for load balancers to notice."""
    grace_s: float = 10.0
    """Time that calls in flight get to finish at shutdown."""
    log_level: str = "info"
    """Least severe records that are logged, a name of `logging` in lower case."""
    log_format: str = "auto"
    """`json`, `text`, or `auto`: text on a terminal."""
    batching: BatchingConfig = BatchingConfig()
    limits: Limits = Limits()
    events: EventsConfig = EventsConfig()
    versions: VersionsConfig = VersionsConfig()
    connections: ConnectionsConfig = ConnectionsConfig()
    tls: TlsConfig = TlsConfig()
    access: AccessConfig = AccessConfig()
    observing: ObservingConfig = ObservingConfig()

    def __post_init__(self) -> None:
        _check_address("address", self.address)
        if self.admin_address:
            _check_address("admin_address", self.admin_address)
        for flag, seconds in (("drain_delay", self.drain_delay_s), ("grace", self.grace_s)):
            if not 0 <= seconds <= 3600:
                raise ValueError(f"{flag} is {seconds}, must be from 0 to 3600 seconds")
        if any(not name for name in self.names) and self.name:
            raise ValueError(f"name is {self.name!r}, must be NAME or NAME,NAME,...")
        if self.batching.max_enqueued < self.limits.max_batch_requests:
            raise ValueError(
                f"max_enqueued is {self.batching.max_enqueued}, must be "
                f"{self.limits.max_batch_requests} or more for a BatchRecommend to fit"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """The models to serve, each once; empty means the only one that there is."""
        return tuple(dict.fromkeys(self.name.split(","))) if self.name else ()


def _check_address(name: str, address: str) -> None:
    host, separator, port = address.rpartition(":")
    if not (separator and host and port.isdecimal() and int(port) <= 65535):
        raise ValueError(f"{name} is {address!r}, must be HOST:PORT, PORT 0 to 65535")
