"""Counts and distributions that the server keeps about itself; plain numbers, no library.

One thread writes, any may read: a reader sees numbers that are at most one call apart.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

SECONDS: Final = tuple(
    round(digit * 10.0**power, 6) for power in range(-4, 1) for digit in (1, 2.5, 5)
)
"""Bounds of durations: 0.1 ms to 5 s."""
SIZES: Final = tuple(float(2**power) for power in range(13))
"""Bounds of batch sizes: 1 to 4096."""


class Distribution:
    """Counts of values between fixed bounds; cheap enough for every call."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        """Takes ascending upper bounds, each inclusive; beyond the last lies infinity."""
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        """Values in each interval, the one beyond the last bound included."""
        self.total = 0.0
        """Sum of all values."""

    def add(self, value: float, times: int = 1) -> None:
        """Counts `value`, `times` times."""
        self.counts[bisect_left(self.bounds, value)] += times
        self.total += value * times

    @property
    def count(self) -> int:
        """Values counted so far."""
        return sum(self.counts)


@dataclass(slots=True)
class BatchStats:
    """What a batcher did so far."""

    batch_size: Distribution = field(default_factory=lambda: Distribution(SIZES))
    """Requests per model call."""
    queue_wait_s: Distribution = field(default_factory=lambda: Distribution(SECONDS))
    """From arrival to the start of the batch, per request."""
    run_s: Distribution = field(default_factory=lambda: Distribution(SECONDS))
    """Model call and the hand-over to its thread and back, per batch."""
    wasted: int = 0
    """Requests computed although their caller had gone by the time they were answered."""
    failed_batches: int = 0
    """Model calls that raised."""
    refused: Counter[str] = field(default_factory=Counter)
    """Requests refused by the batcher, by reason."""


@dataclass(slots=True)
class PaddingStats:
    """What the model was called with."""

    rows: int = 0
    """Users in model calls, padding not counted."""
    padding_rows: int = 0
    """Rows added to reach an allowed batch size."""


@dataclass(slots=True)
class CallStats:
    """Calls so far, by method (`/package.Service/Method`) and outcome (a gRPC code's name)."""

    methods: dict[str, str] = field(default_factory=dict)
    """Every method that is counted, and its type: `unary` or `server_stream`."""
    started: Counter[str] = field(default_factory=Counter)
    """Calls begun, by method."""
    handled_s: defaultdict[tuple[str, str], Distribution] = field(
        default_factory=lambda: defaultdict(lambda: Distribution(SECONDS))
    )
    """Durations of finished calls by method and outcome."""


@dataclass(slots=True)
class EventStats:
    """What became of recorded events."""

    recorded: int = 0
    """New events."""
    reads: int = 0
    """Questions for which the store was asked."""
    degraded: int = 0
    """Those that were answered without."""
