"""The server itself: its state, its event loop, who was not let in, what it wrote down."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from recserve_server.events.recorded import RecordedEvents
from recserve_server.metrics.families import counter, gauge, histogram
from recserve_server.metrics.readings import Readings, SecurityReadings
from recserve_server.stats import RequestLogStats


def of_process(readings: Readings) -> Iterator[Metric]:
    """Yields what there is to tell of the server besides calls and models."""
    yield GaugeMetricFamily("recserve_serving", "1 if health says SERVING.", readings.is_serving)
    yield GaugeMetricFamily(
        "recserve_draining", "1 once the server is on its way out.", readings.is_draining
    )
    if readings.heartbeat is not None:
        yield histogram(
            "recserve_event_loop_lag_seconds",
            "How long work waits for the event loop.",
            readings.heartbeat.lag_s,
        )
    yield from _security(readings.security)
    if readings.request_log is not None:
        yield from _request_log(readings.request_log)
    if readings.events is not None:
        yield from _events(readings.events)


def _security(security: SecurityReadings) -> Iterator[Metric]:
    for name, text, label, counts in (
        ("auth_refused", "Calls that were not let in.", "reason", security.auth_refused),
        ("callers_reloads", "Readings of the callers' file.", "outcome", security.callers_reloads),
        ("tls_rotations", "Readings of certificates.", "outcome", security.tls_rotations),
    ):
        values = [((value,), count) for value, count in counts.items()]
        yield counter(f"recserve_{name}", text, values, (label,))
    expiry_s = security.certificate_expiry_s
    yield gauge(
        "recserve_tls_certificate_expiry_timestamp_seconds",
        "When the server's certificate ends, in Unix time.",
        [] if expiry_s is None else [((), expiry_s)],
        (),
    )


def _request_log(stats: RequestLogStats) -> Iterator[Metric]:
    yield CounterMetricFamily(
        "recserve_request_log_written", "Lines written to the request log.", stats.written
    )
    yield counter(
        "recserve_request_log_dropped",
        "Lines that the request log lacks.",
        [(("overrun",), stats.overrun), (("failed",), stats.failed)],
        ("reason",),
    )


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
