"""Whether a stage went on long enough for its figures to have settled; pure."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from .latency import LatencyRecorder
from .result import Window

_PARTS: Final = 3
_WITHIN: Final = 0.10


def is_stable(windows: Sequence[Window]) -> bool | None:
    """Returns whether p99 of the thirds of a stage each lie within 10 % of their mean.

    None if there are fewer than three windows, or a third without an answer.
    """
    if len(windows) < _PARTS:
        return None
    bounds = [round(part * len(windows) / _PARTS) for part in range(_PARTS + 1)]
    found: list[float] = []
    for begin, end in pairwise(bounds):
        recorder = LatencyRecorder()
        for window in windows[begin:end]:
            recorder.merge(window.histogram)
        p99_ms = recorder.percentile_ms(99)
        if p99_ms is None:
            return None
        found.append(p99_ms)
    mean = sum(found) / _PARTS
    return all(abs(p99_ms - mean) <= _WITHIN * mean for p99_ms in found)
