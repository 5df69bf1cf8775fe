"""The queue and its batches, those of all models together."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from recserve_server.errors import (
    DeadlineTooShort,
    ExpiredInQueue,
    ModelFailed,
    NotReady,
    QueueFull,
    ServingError,
)
from recserve_server.metrics.families import add_histogram, counter, histogram
from recserve_server.metrics.readings import Readings
from recserve_server.stats import BatchStats

_REASONS: Final = tuple(
    error.reason for error in (QueueFull, DeadlineTooShort, ExpiredInQueue, NotReady, ModelFailed)
)
_OTHER_REASON: Final = ServingError.reason


def of_batches(readings: Readings) -> Iterator[Metric]:
    """Yields what batchers did, those of versions that have gone included: no sum ever falls."""
    # Without labels: what a server can take is shared by its models, and `recserve loadtest` of
    # any release reads these. What tells versions apart is in `of_versions`.
    batches = BatchStats()
    for each in (readings.retired, *(loaded.batches for loaded in readings.loaded)):
        batches.absorb(each)
    yield GaugeMetricFamily(
        "recserve_queue_depth",
        "Requests that wait for a batch.",
        sum(each.queue_depth for each in readings.loaded),
    )
    yield GaugeMetricFamily(
        "recserve_tenants",
        "Tenants whose requests wait for a batch.",
        sum(each.tenants for each in readings.loaded),
    )
    yield _queue_wait(batches)
    yield histogram("recserve_batch_size", "Requests per batch.", batches.batch_size)
    yield histogram(
        "recserve_batch_run_seconds",
        "From handing a batch to the model to having its answers.",
        batches.run_s,
    )
    for name, text, count in (
        ("failed_batches", "Batches that the model failed.", batches.failed_batches),
        ("wasted_rows", "Requests computed after their caller had gone.", batches.wasted),
        ("queue_evicted", "Requests that made room for those of others.", batches.evicted),
        ("batcher_woken", "Times that a queue stood still by mistake.", batches.woken),
    ):
        yield CounterMetricFamily(f"recserve_{name}", text, count)
    yield _rejected(batches)


def _queue_wait(batches: BatchStats) -> Metric:
    family = HistogramMetricFamily(
        "recserve_queue_wait_seconds",
        "From a request's arrival to the start of its batch.",
        labels=("priority",),
    )
    add_histogram(family, ("interactive",), batches.queue_wait_s)
    add_histogram(family, ("batch",), batches.batch_queue_wait_s)
    return family


def _rejected(batches: BatchStats) -> Metric:
    counts: Counter[str] = Counter(dict.fromkeys((*_REASONS, _OTHER_REASON), 0))
    for reason, count in batches.refused.items():
        counts[reason if reason in counts else _OTHER_REASON] += count
    return counter(
        "recserve_rejected",
        "Requests that the batcher refused.",
        [((reason,), count) for reason, count in counts.items()],
        ("reason",),
    )
