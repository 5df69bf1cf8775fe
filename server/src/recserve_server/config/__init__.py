"""The server's settings: data, checked at birth."""

from recserve_server.config.access import AccessConfig, TlsConfig
from recserve_server.config.batching import BatchingConfig
from recserve_server.config.connections import ConnectionsConfig
from recserve_server.config.events import EventsConfig
from recserve_server.config.limits import Limits
from recserve_server.config.observing import ObservingConfig
from recserve_server.config.server import ServerConfig
from recserve_server.config.versions import MemoryPolicy, VersionPolicy, VersionsConfig

__all__ = [
    "AccessConfig",
    "BatchingConfig",
    "ConnectionsConfig",
    "EventsConfig",
    "Limits",
    "MemoryPolicy",
    "ObservingConfig",
    "ServerConfig",
    "TlsConfig",
    "VersionPolicy",
    "VersionsConfig",
]
