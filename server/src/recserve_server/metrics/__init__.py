"""The server's counts as Prometheus metrics, gathered when they are asked for.

Nothing in here runs during a call: `stats` counts, and a scrape reads those numbers from a thread
of its own. Names and labels of `grpc_server_*` are go-grpc-prometheus', so that its dashboards and
alerts fit; docs/metrics.md explains all of them.
"""

from recserve_server.metrics.collector import ServerCollector, build_registry
from recserve_server.metrics.readings import (
    LoadedReadings,
    ModelReadings,
    Readings,
    SecurityReadings,
)

__all__ = [
    "LoadedReadings",
    "ModelReadings",
    "Readings",
    "SecurityReadings",
    "ServerCollector",
    "build_registry",
]
