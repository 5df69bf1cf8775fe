"""When the calls of an open loop leave: pure, and the same each time for the same seed."""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .plan import Arrivals, OpenLoop, Stage


@dataclass(frozen=True, slots=True)
class Share:
    """Which part of a load test one process does."""

    index: int
    """From 0."""
    count: int
    """Of all processes."""

    def of(self, total: int) -> int:
        """Returns how many of `total` fall to this process; the first ones take the rest."""
        return total // self.count + (self.index < total % self.count)


def arrivals(stage: Stage, share: Share, seed: int) -> Iterator[float]:
    """Yields times in seconds, ascending, from -warmup_s to before `seconds`.

    Time 0 is when the measured time begins. Calls at equal distances are dealt out to the processes
    in turn. A Poisson process is the sum of independent ones, so each process has its own.

    Args:
        stage: an open loop whose times are not recorded ones.
        share: which process asks.
        seed: of the whole stage, the same for all processes.
    """
    pressure = stage.pressure
    assert isinstance(pressure, OpenLoop)
    ramp = Ramp.of(pressure, stage.seconds)
    first, last = ramp.calls_until(-stage.warmup_s), ramp.calls_until(stage.seconds)
    if pressure.arrivals is Arrivals.POISSON:
        # A string, since integers that differ little would be no independent seeds.
        random_ = random.Random(f"{seed}/{share.index}")
        ranks = _independent(random_, first, last, share.count)
    else:
        ranks = _in_turn(first, last, share)
    return map(ramp.time_of, ranks)


def recorded(times_s: Sequence[float], stage: Stage, share: Share) -> Iterator[tuple[float, int]]:
    """Yields (time, its place) of the times of a recording that fall to one process.

    Args:
        times_s: seconds since the measured time begins, ascending; those before 0 are warm-up.
        stage: whose time they must be in; others are left out.
        share: which process asks; it takes every count-th.
    """
    mine = ((times_s[place], place) for place in range(share.index, len(times_s), share.count))
    return (pair for pair in mine if -stage.warmup_s <= pair[0] < stage.seconds)


@dataclass(frozen=True, slots=True)
class Ramp:
    """A rate that is constant before time 0 and then changes evenly."""

    rate_per_s: float
    growth_per_s2: float

    @classmethod
    def of(cls, pressure: OpenLoop, seconds: float) -> "Ramp":
        """Returns the ramp of an open loop."""
        begin, end = pressure.rate_per_s, pressure.end_rate_per_s
        return cls(begin, 0.0 if end is None else (end - begin) / seconds)

    def calls_until(self, time_s: float) -> float:
        """Returns how many calls there are from 0 to a time, on average; negative before 0."""
        growth = self.growth_per_s2 if time_s > 0 else 0.0
        return (self.rate_per_s + growth / 2 * time_s) * time_s

    def time_of(self, calls: float) -> float:
        """Returns the time until which there are so many calls: the inverse of `calls_until`."""
        growth = self.growth_per_s2 if calls > 0 else 0.0
        root = math.sqrt(max(0.0, self.rate_per_s**2 + 2 * growth * calls))
        return 2 * calls / (self.rate_per_s + root)


def _independent(
    random_: random.Random, first: float, last: float, processes: int
) -> Iterator[float]:
    draw, rank, rate = random_.expovariate, first, 1 / processes
    while (rank := rank + draw(rate)) < last:
        yield rank


def _in_turn(first: float, last: float, share: Share) -> Iterator[float]:
    # Rounded, since 3.3 s at 10 per second must be 33 calls whatever floats make of it.
    begin, end = math.ceil(round(first, 6)), math.ceil(round(last, 6))
    return map(float, range(begin + (share.index - begin) % share.count, end, share.count))
