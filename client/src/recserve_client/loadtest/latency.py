"""Latencies, kept in a histogram whose every value is right within 0.1 %."""

import math
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, Self, TextIO

from hdrh.histogram import HdrHistogram

from .result import Latency

_LONGEST_US: Final = 3_600_000_000
_DIGITS: Final = 3
_NAMES: Final = {
    "p50_ms": 50.0,
    "p75_ms": 75.0,
    "p90_ms": 90.0,
    "p95_ms": 95.0,
    "p99_ms": 99.0,
    "p999_ms": 99.9,
    "max_ms": 100.0,
}
_STEPS_PER_HALVING: Final = 10


class _Point(NamedTuple):
    percentile: float
    value_us: int
    recordings: int
    """Up to that value."""


class LatencyRecorder:
    """An HdrHistogram of microseconds, from 1 to an hour with 3 significant digits.

    Percentiles are nearest-rank: the value of a recording, the least that at least this share of
    all recordings does not exceed.
    """

    def __init__(self) -> None:
        """Begins empty."""
        self._histogram = HdrHistogram(1, _LONGEST_US, _DIGITS)

    @classmethod
    def decode(cls, encoded: str) -> Self:
        """Returns what was encoded."""
        recorder = cls()
        recorder.merge(encoded)
        return recorder

    @property
    def count(self) -> int:
        """How many recordings there are."""
        return int(self._histogram.get_total_count())

    def record(self, seconds: float) -> None:
        """Adds one latency; above an hour it counts as an hour."""
        self._histogram.record_value(min(_LONGEST_US, max(0, round(seconds * 1e6))))

    def merge(self, encoded: str) -> None:
        """Adds all recordings of another one, as `encode` returned them."""
        self._histogram.decode_and_add(encoded)

    def encode(self) -> str:
        """Returns the histogram in HdrHistogram's V2 format, compressed, base64."""
        return bytes(self._histogram.encode()).decode("ascii")

    def percentile_ms(self, percentile: float) -> float | None:
        """Returns one percentile in milliseconds, None without recordings."""
        return next((point.value_us / 1000 for point in self._points([percentile])), None)

    def summary(self) -> Latency:
        """Returns the percentiles that tables show."""
        if not self.count:
            return Latency()
        points = self._points(sorted(_NAMES.values()))
        found = {point.percentile: point.value_us / 1000 for point in points}
        mean_us, _ = self._moments()
        named = {name: found[percentile] for name, percentile in _NAMES.items()}
        return Latency(count=self.count, mean_ms=mean_us / 1000, **named)

    def percentile_curve(self) -> tuple[tuple[float, float], ...]:
        """Returns (percentile, milliseconds), ascending, for a curve.

        There are ten points for each halving of what is left to 100, as far as there are
        recordings to tell them apart.
        """
        points = self._points(_percentiles(self.count))
        return tuple((point.percentile, point.value_us / 1000) for point in points)

    def counts(self) -> Iterator[tuple[int, int]]:
        """Yields (microseconds, recordings) of each bucket that is not empty, ascending."""
        return ((self._value_us(index), count) for index, count in self._filled())

    def write_hgrm(self, file: TextIO) -> None:
        """Writes HdrHistogram's table of percentiles, in milliseconds; tools plot it."""
        file.write(
            f"{'Value':>12} {'Percentile':>14} {'TotalCount':>10} {'1/(1-Percentile)':>14}\n\n"
        )
        for percentile, value_us, count in self._points(_percentiles(self.count)):
            line = f"{value_us / 1000:12.3f} {percentile / 100:2.12f} {count:10d}"
            if percentile < 100:
                line += f" {1 / (1 - percentile / 100):14.2f}"
            file.write(line + "\n")
        mean_us, deviation_us = self._moments()
        max_ms, histogram = self.percentile_ms(100) or 0.0, self._histogram
        file.write(
            f"#[Mean    = {mean_us / 1000:12.3f}, StdDeviation   = {deviation_us / 1000:12.3f}]\n"
            f"#[Max     = {max_ms:12.3f}, Total count    = {self.count:12d}]\n"
            f"#[Buckets = {histogram.bucket_count:12d}, "
            f"SubBuckets     = {histogram.sub_bucket_count:12d}]\n"
        )

    def _points(self, percentiles: Sequence[float]) -> Iterator[_Point]:
        """Finds ascending percentiles in one walk; hdrh's own round the rank, which is none."""
        total, count, wanted = self.count, 0, 0
        ranks = [max(1, math.ceil(round(each * total / 100, 6))) for each in percentiles]
        for index, here in self._filled():
            count += here
            while wanted < len(ranks) and ranks[wanted] <= count:
                yield _Point(percentiles[wanted], self._value_us(index), count)
                wanted += 1

    def _moments(self) -> tuple[float, float]:
        """Returns mean and standard deviation in microseconds."""
        pairs = list(self.counts())
        total = self.count or 1
        mean = sum(value * count for value, count in pairs) / total
        square = sum((value - mean) ** 2 * count for value, count in pairs) / total
        return mean, math.sqrt(square)

    def _filled(self) -> Iterator[tuple[int, int]]:
        """Yields (index, count) of the buckets that are not empty."""
        counts: list[int] = self._histogram.counts[:]
        return ((index, count) for index, count in enumerate(counts) if count)

    def _value_us(self, index: int) -> int:
        histogram = self._histogram
        value = histogram.get_value_from_index(index)
        return int(histogram.get_highest_equivalent_value(value))


def _percentiles(count: int) -> list[float]:
    """Returns percentiles that are denser towards 100; without recordings none."""
    found: list[float] = []
    left = 100.0
    while count and left * count >= 100:
        found += [
            100 - left + left / 2 * step / _STEPS_PER_HALVING for step in range(_STEPS_PER_HALVING)
        ]
        left /= 2
    return [*found, 100.0] if count else []
