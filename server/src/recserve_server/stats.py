"""Counts and distributions that the server keeps about itself; plain numbers, no library.

One thread writes, any may read: a reader sees numbers that are at most one call apart.
"""

import pickle
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Final, Self

SECONDS: Final = tuple(
    round(digit * 10.0**power, 6) for power in range(-4, 1) for digit in (1, 2.5, 5)
)
"""Bounds of durations: 0.1 ms to 5 s."""
SIZES: Final = tuple(float(2**power) for power in range(13))
"""Bounds of batch sizes: 1 to 4096."""
ASKED: Final = (1.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)
"""Bounds of how many items are asked for."""
PERCENTS: Final = (10.0, 50.0, 80.0, 90.0, 95.0, 98.0, 99.0, 99.5, 99.9, 99.99)
"""Bounds of percentiles, close together where recommendations are."""
LONG_SECONDS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0)
"""Bounds of what takes long: 0.1 s to 8 minutes."""
_NUMBERS: Final = 8


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

    def absorb(self, other: "Distribution") -> None:
        """Adds what another one with the same bounds has counted."""
        self.counts = [
            mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)
        ]
        self.total += other.total

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
    """From arrival to the start of the batch, per request of interactive priority."""
    batch_queue_wait_s: Distribution = field(default_factory=lambda: Distribution(SECONDS))
    """The same for batch priority."""
    run_s: Distribution = field(default_factory=lambda: Distribution(SECONDS))
    """Model call and the hand-over to its thread and back, per batch."""
    wasted: int = 0
    """Requests computed although their caller had gone by the time they were answered."""
    failed_batches: int = 0
    """Model calls that raised."""
    refused: Counter[str] = field(default_factory=Counter)
    """Requests refused by the batcher, by reason."""
    evicted: int = 0
    """Refused requests that were queued and had to make room for others."""
    woken: int = 0
    """Times that the watchdog found requests waiting while nothing ran, and started a batch."""

    def absorb(self, other: "BatchStats") -> None:
        """Adds what another batcher did: sums must not fall when that one has gone."""
        for each in fields(self):
            mine, theirs = getattr(self, each.name), getattr(other, each.name)
            if isinstance(mine, Distribution):
                mine.absorb(theirs)
            elif isinstance(mine, Counter):
                mine.update(dict(theirs))  # copied in one step: the other may still count
            else:
                setattr(self, each.name, mine + theirs)


@dataclass(slots=True)
class AnswerStats:
    """What a model was called with, and what its answers are like.

    Lists are indexed by the numbers of `recserve_server.model.Source` and `Fallback`.
    """

    rows: int = 0
    """Users in model calls, padding not counted."""
    padding_rows: int = 0
    """Rows added to reach an allowed batch size."""
    recommended: list[int] = field(default_factory=lambda: [0] * _NUMBERS)
    """Rankings of the catalogue, by source."""
    ranked: list[int] = field(default_factory=lambda: [0] * _NUMBERS)
    """Rankings of given items, by source."""
    similar: int = 0
    """Lists of similar items."""
    fallbacks: list[int] = field(default_factory=lambda: [0] * _NUMBERS)
    """Answers that are not personal, by reason."""
    short: int = 0
    """Answers with fewer items than were asked for, the empty ones among them."""
    empty: int = 0
    """Answers without any."""
    items: int = 0
    """Items in answers."""
    excluded: int = 0
    """Ids that callers excluded and the model knows."""
    degraded: int = 0
    """Answers given without the user's recorded events."""
    asked_k: Distribution = field(default_factory=lambda: Distribution(ASKED))
    """Items asked for, where the caller says how many."""
    first_percent: Distribution = field(default_factory=lambda: Distribution(PERCENTS))
    """Where the first items of personal rankings of the catalogue lie among all scores, 0 to 100:
    what drifts if users or events are no longer those that the model has learnt from."""
    run_s: Distribution = field(default_factory=lambda: Distribution(SECONDS))
    """From having a batch to having its answers encoded, per batch."""

    def packed(self) -> bytes:
        """Returns all numbers, for `unpacked`; cheap enough for every batch."""
        return pickle.dumps(_numbers_of(self), pickle.HIGHEST_PROTOCOL)

    @classmethod
    def unpacked(cls, packed: bytes) -> Self:
        """Returns what `packed` holds, which must be of our own making."""
        stats = cls()
        for path, value in zip(_PACKED, pickle.loads(packed), strict=True):
            owner, _, name = path.rpartition(".")
            setattr(getattr(stats, owner) if owner else stats, name, value)
        return stats


_DISTRIBUTIONS: Final = ("asked_k", "first_percent", "run_s")
_PACKED: Final = (
    *(each.name for each in fields(AnswerStats) if each.name not in _DISTRIBUTIONS),
    *(f"{name}.{part}" for name in _DISTRIBUTIONS for part in ("counts", "total")),
)
_numbers_of: Final = attrgetter(*_PACKED)


@dataclass(slots=True)
class VersionStats:
    """How versions of models came and went; models are those that the server was told to serve."""

    loads: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Attempts to load a version, by model and outcome: `loaded`, `refused`."""
    load_s: Distribution = field(default_factory=lambda: Distribution(LONG_SECONDS))
    """From the first look at a version to its being warm, of those loaded."""
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Versions refused, by model and `recserve_server.models.refusal.Refusal`."""


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


@dataclass(slots=True)
class RequestLogStats:
    """What became of lines of the request log; two threads write, each its own fields."""

    written: int = 0
    """Lines handed to the operating system."""
    overrun: int = 0
    """Lines dropped because the disk was slower than the calls."""
    failed: int = 0
    """Lines dropped because they could not be written."""
