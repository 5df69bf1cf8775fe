"""Calls by method and code, under go-grpc-prometheus' names."""

from collections.abc import Iterator
from typing import Final

from google.rpc import code_pb2
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

from recserve_server.metrics.families import add_histogram
from recserve_server.stats import SECONDS, CallStats, Distribution

# Go's names: one L in "Canceled".
_CODES: Final = {
    name: {"OK": "OK", "CANCELLED": "Canceled"}.get(name, name.title().replace("_", ""))
    for name in code_pb2.Code.keys()  # noqa: SIM118  # no dict
}
_METHOD_LABELS: Final = ("grpc_type", "grpc_service", "grpc_method")


def of_calls(calls: CallStats) -> Iterator[Metric]:
    """Yields what is counted of calls."""
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
                add_histogram(handling_s, (*labels, code), seen or Distribution(SECONDS))
        started.add_metric(labels, calls.started[method])
    yield started
    yield handled
    yield handling_s
