"""All metrics of one server."""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from recserve_server.metrics.batches import of_batches
from recserve_server.metrics.calls import of_calls
from recserve_server.metrics.models import of_models
from recserve_server.metrics.process import of_process
from recserve_server.metrics.readings import Readings
from recserve_server.metrics.versions import of_versions


class ServerCollector(Collector):
    """All metrics of one server."""

    def __init__(self, read: Callable[[], Readings]) -> None:
        """Takes what returns the newest readings; called from any thread."""
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """Yields every family, those without a count yet as zeros."""
        readings = self._read()
        yield from of_calls(readings.calls)
        yield from of_batches(readings)
        yield from of_versions(readings.loaded)
        yield from of_models(readings.models)
        yield from of_process(readings)


def build_registry(read: Callable[[], Readings]) -> CollectorRegistry:
    """Returns a registry with a server's metrics, and those of its process and Python."""
    registry = CollectorRegistry()
    registry.register(ServerCollector(read))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    return registry
