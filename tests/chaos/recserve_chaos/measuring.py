"""Samples what replicas take, and says whether it grows."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import psutil

from .fleet import Replica

MOST_GROWTH_PER_HOUR: Final = 0.02
"""Share of the memory in use."""
_SLACK: Final = {
    "server_bytes": 4 << 20,
    # Another process after each swap, and no two of them alike.
    "model_bytes": 32 << 20,
    "descriptors": 3,
    "threads": 3,
}
"""By measure, what comes and goes by itself."""
_PROCESSES: Final = 2


@dataclass(frozen=True)
class Sample:
    """What one replica takes."""

    replica: str
    at_s: float
    server_bytes: int
    """Resident memory of the server, which lives as long as the run."""
    model_bytes: int
    """The same of its model process."""
    descriptors: int
    """Of both."""
    threads: int


def sample(replica: Replica, at_s: float) -> Sample | None:
    """Measures a replica; None while it has one version too many or too few."""
    try:
        found = replica.processes()
        if len(found) != _PROCESSES:
            return None
        server, model = found
        return Sample(
            replica.name,
            at_s,
            server.memory_info().rss,
            model.memory_info().rss,
            sum(each.num_fds() for each in found),
            sum(each.num_threads() for each in found),
        )
    except psutil.Error:
        return None


@dataclass(frozen=True)
class Growth:
    """How a replica's needs changed over the second half of a run."""

    replica: str
    measure: str
    before: float
    """By the fitted line, at the beginning of the second half."""
    after: float
    per_hour: float
    is_flat: bool


def growths(samples: Sequence[Sample]) -> list[Growth]:
    """Judges every replica's memory, descriptors and threads."""
    found = []
    for name in sorted({each.replica for each in samples}):
        own = [each for each in samples if each.replica == name]
        for measure in _SLACK:
            points = [(each.at_s, float(getattr(each, measure))) for each in own]
            found.append(_growth(name, measure, points))
    return found


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Returns the median slope of all pairs (Theil and Sen), which no single peak moves."""
    rises = [
        (later[1] - sooner[1]) / (later[0] - sooner[0])
        for place, sooner in enumerate(points)
        for later in points[place + 1 :]
        if later[0] > sooner[0]
    ]
    return statistics.median(rises) if rises else 0.0


def _growth(name: str, measure: str, points: Sequence[tuple[float, float]]) -> Growth:
    half = points[len(points) // 2 :]
    if len(half) < 2:
        return Growth(name, measure, 0, 0, 0, is_flat=False)
    per_s, hours = slope(half), (half[-1][0] - half[0][0]) / 3600
    middle = statistics.median(value for _, value in half)
    rise = per_s * hours * 3600
    most = max(_SLACK[measure], MOST_GROWTH_PER_HOUR * middle * hours)
    before = middle - rise / 2
    return Growth(name, measure, before, before + rise, per_s * 3600, rise <= most)
