"""The server's counts as Prometheus metrics, gathered when they are asked for.

Nothing in here runs during a call: `stats` counts, and a scrape reads those numbers from a thread
of its own. Names and labels of `grpc_server_*` are go-grpc-prometheus', so that its dashboards and
alerts fit; docs/metrics.md explains all of them.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from google.rpc import code_pb2
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from recserve_server.errors import (
    DeadlineTooShort,
    ExpiredInQueue,
    ModelFailed,
    NotReady,
    QueueFull,
    ServingError,
)
from recserve_server.events.recorded import RecordedEvents
from recserve_server.models.store import ModelVersion
from recserve_server.stats import SECONDS, BatchStats, CallStats, Distribution, PaddingStats

# Go's names: one L in "Canceled".
_CODES: Final = {
    name: {"OK": "OK", "CANCELLED": "Canceled"}.get(name, name.title().replace("_", ""))
    for name in code_pb2.Code.keys()  # noqa: SIM118  # no dict
}
_REASONS: Final = tuple(
    error.reason for error in (QueueFull, DeadlineTooShort, ExpiredInQueue, NotReady, ModelFailed)
)
_OTHER_REASON: Final = ServingError.reason
_METHOD_LABELS: Final = ("grpc_type", "grpc_service", "grpc_method")


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """What a server has to tell at one moment."""

    calls: CallStats
    batches: BatchStats
    padding: PaddingStats
    queue_depth: int
    """Requests that wait for a batch."""
    is_serving: bool
    """Whether health says SERVING."""
    model: ModelVersion | None
    """The version that was loaded last."""
    events: RecordedEvents | None = None
    """What keeps events, if anything does."""


class ServerCollector(Collector):
    """All metrics of one server."""

    def __init__(self, read: Callable[[], Readings]) -> None:
        """Takes what returns the newest readings; called from any thread."""
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """Yields every family, those without a count yet as zeros."""
        readings = self._read()
        yield from _calls(readings.calls)
        yield from _queue(readings)
        yield from _batches(readings)
        yield from _model(readings)
        if readings.events is not None:
            yield from _events(readings.events)


def build_registry(read: Callable[[], Readings]) -> CollectorRegistry:
    """Returns a registry with a server's metrics, and those of its process and Python."""
    registry = CollectorRegistry()
    registry.register(ServerCollector(read))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    return registry


def _calls(calls: CallStats) -> Iterator[Metric]:
    # Before `started`: a call that ends meanwhile must not be handled without having started.
    # And copied, in one step: the event loop adds to it.
    durations = dict(calls.handled_s)
    started = CounterMetricFamily(
        "grpc_server_started", "Calls that have begun.", labels=_METHOD_LABELS
    )
    handled = CounterMetricFamily(
        "grpc_server_handled", "Calls that have ended.", labels=(*_METHOD_LABELS, "grpc_code")
    )
    handling_s = HistogramMetricFamily(
        "grpc_server_handling_seconds",
        "From a call's arrival in Python to its end.",
        labels=(*_METHOD_LABELS, "grpc_code"),
    )
    for method, kind in calls.methods.items():
        labels = (kind, *method.strip("/").split("/"))
        for name, code in _CODES.items():
            seen = durations.get((method, name))
            # All codes from the start, else rate() misses the first failure of its kind.
            handled.add_metric((*labels, code), seen.count if seen else 0)
            if seen or name == "OK":
                _add(handling_s, (*labels, code), seen or Distribution(SECONDS))
        started.add_metric(labels, calls.started[method])
    yield started
    yield handled
    yield handling_s


def _queue(readings: Readings) -> Iterator[Metric]:
    batches = readings.batches
    yield GaugeMetricFamily(
        "recserve_queue_depth", "Requests that wait for a batch.", readings.queue_depth
    )
    yield _histogram(
        "recserve_queue_wait_seconds",
        "From a request's arrival to the start of its batch.",
        batches.queue_wait_s,
    )
    rejected = CounterMetricFamily(
        "recserve_rejected", "Requests that the batcher refused.", labels=("reason",)
    )
    refused = dict(batches.refused)
    counts: Counter[str] = Counter(dict.fromkeys((*_REASONS, _OTHER_REASON), 0))
    for reason, count in refused.items():
        counts[reason if reason in counts else _OTHER_REASON] += count
    for reason, count in counts.items():
        rejected.add_metric((reason,), count)
    yield rejected


def _batches(readings: Readings) -> Iterator[Metric]:
    batches, padding = readings.batches, readings.padding
    yield _histogram("recserve_batch_size", "Requests per batch.", batches.batch_size)
    yield _histogram(
        "recserve_batch_run_seconds",
        "From handing a batch to the model to having its answers.",
        batches.run_s,
    )
    for name, text, count in (
        ("failed_batches", "Batches that the model failed.", batches.failed_batches),
        ("wasted_rows", "Requests computed after their caller had gone.", batches.wasted),
        ("model_rows", "Users that the model ranked for.", padding.rows),
        ("padding_rows", "Rows added to reach an allowed batch size.", padding.padding_rows),
    ):
        yield CounterMetricFamily(f"recserve_{name}", text, count)


def _model(readings: Readings) -> Iterator[Metric]:
    yield GaugeMetricFamily("recserve_serving", "1 if health says SERVING.", readings.is_serving)
    about = InfoMetricFamily("recserve_model", "The model that was loaded last.")
    load_time_s = GaugeMetricFamily(
        "recserve_model_load_time_seconds", "When it was loaded, in Unix time."
    )
    if (model := readings.model) is not None:
        about.add_metric(
            (),
            {
                "name": model.location.name,
                "version": str(model.location.version),
                "index": model.manifest.index.kind,
                "kind": model.manifest.model.kind,
            },
        )
        if model.load_time is not None:
            load_time_s.add_metric((), model.load_time.timestamp())
    yield about
    yield load_time_s


def _events(events: RecordedEvents) -> Iterator[Metric]:
    stats = events.stats
    yield GaugeMetricFamily(
        "recserve_events_available", "1 if the store of events answers.", events.is_available
    )
    for name, text, count in (
        ("recorded", "Events recorded, those sent again not counted.", stats.recorded),
        ("reads", "Questions for which the store was asked.", stats.reads),
        ("degraded", "Of these, answered without.", stats.degraded),
    ):
        yield CounterMetricFamily(f"recserve_events_{name}", text, count)


def _histogram(name: str, text: str, distribution: Distribution) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, text, labels=())
    _add(family, (), distribution)
    return family


def _add(family: HistogramMetricFamily, labels: Sequence[str], distribution: Distribution) -> None:
    bounds = (*map(floatToGoString, distribution.bounds), "+Inf")
    buckets = list(zip(bounds, accumulate(distribution.counts), strict=True))
    family.add_metric(labels, buckets, distribution.total)
