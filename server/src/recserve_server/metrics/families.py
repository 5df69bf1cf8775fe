"""Shorthands for Prometheus' families."""

from collections.abc import Iterable, Sequence
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.utils import floatToGoString

from recserve_server.stats import Distribution


def counter(
    name: str, text: str, values: Iterable[tuple[Sequence[str], float]], labels: Sequence[str]
) -> CounterMetricFamily:
    """Returns a family of counters; `values` are beside the labels' values."""
    family = CounterMetricFamily(name, text, labels=labels)
    for of_labels, value in values:
        family.add_metric(of_labels, value)
    return family


def gauge(
    name: str, text: str, values: Iterable[tuple[Sequence[str], float]], labels: Sequence[str]
) -> GaugeMetricFamily:
    """Returns a family of gauges; `values` are beside the labels' values."""
    family = GaugeMetricFamily(name, text, labels=labels)
    for of_labels, value in values:
        family.add_metric(of_labels, value)
    return family


def histogram(name: str, text: str, distribution: Distribution) -> HistogramMetricFamily:
    """Returns a family of one histogram without labels."""
    family = HistogramMetricFamily(name, text, labels=())
    add_histogram(family, (), distribution)
    return family


def add_histogram(
    family: HistogramMetricFamily, labels: Sequence[str], distribution: Distribution
) -> None:
    """Adds a distribution to a family."""
    bounds = (*map(floatToGoString, distribution.bounds), "+Inf")
    buckets = list(zip(bounds, accumulate(distribution.counts), strict=True))
    family.add_metric(labels, buckets, distribution.total)
