"""Two runs held against each other, with the uncertainty of the difference; pure.

The seconds of a stage are drawn again, with replacement, in both runs (bootstrap: Efron 1979); the
middle 95 % of the differences are the interval. It knows how much the seconds of these two runs
differ, not how much other runs would: two runs of the same server on a noisy machine may differ by
more than it says.
"""

import math
import random
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from .latency import LatencyRecorder
from .plan import PlanError
from .result import Run, StageResult

_DRAWS: Final = 400
_LEAST_WINDOWS: Final = 5
_BUCKETS_PER_E: Final = 200  # half a percent wide, finer than any verdict
_BUCKETS: Final = range(math.ceil(_BUCKETS_PER_E * math.log(3.6e9)) + 1)  # up to an hour


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One quantity of one stage in both runs."""

    stage: str
    """Label of the stage."""
    name: str
    """`p50`, `p99`, `rate` or `errors`."""
    before: float | None
    """In the first run: milliseconds, calls per second, or a share."""
    after: float | None
    """In the second run."""
    change: float | None
    """After over before, less one; of `errors` the plain difference. None if unknown."""
    low: float | None
    """Lower end of the change's 95 % interval; None if there is too little to tell."""
    high: float | None
    """Upper end."""
    verdict: str
    """`better`, `worse`, `same` (no difference above the tolerance is shown) or `unknown`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """All differences of two runs."""

    differences: tuple[Difference, ...]
    """By stage."""
    notes: tuple[str, ...]
    """What makes them hard to compare."""

    @property
    def verdict(self) -> str:
        """`worse` if anything is, else `better` if anything is, else `same`, else `unknown`."""
        verdicts = {each.verdict for each in self.differences}
        return next((each for each in ("worse", "better", "same") if each in verdicts), "unknown")


@dataclass(frozen=True, slots=True)
class _Second:
    """One window: how many calls ended how, and how long they took."""

    seconds: float
    ok: int
    failed: int
    ok_up_to: Sequence[int]
    """By bucket, calls answered OK of a latency in it or below."""


def compare(before: Run, after: Run, *, tolerance: float = 0.05, seed: int = 1) -> Comparison:
    """Compares stages of the same label; of several with one, the first with the first and so on.

    Args:
        before: The run that is held against.
        after: The run that is judged.
        tolerance: Least change, as a share, that counts.
        seed: Draws the intervals.

    Raises:
        PlanError: no stage of one is in the other.
    """
    if not 0 <= tolerance <= 1:
        raise PlanError(f"tolerance is {tolerance:g}, must be from 0% to 100%")
    earlier, later = _by_label(before), _by_label(after)
    common = [key for key in later if key in earlier]
    if not common:
        raise PlanError(
            "the runs have no stage in common: "
            f"{', '.join(label for label, _ in earlier)} and "
            f"{', '.join(label for label, _ in later)}"
        )
    draw = random.Random(seed)
    differences: list[Difference] = []
    for key in common:
        differences += _differences(earlier[key], later[key], tolerance, draw)
    return Comparison(differences=tuple(differences), notes=tuple(_notes(before, after)))


def _by_label(run: Run) -> Mapping[tuple[str, int], StageResult]:
    """Returns stages by label and how many of the same come before."""
    seen: Counter[str] = Counter()
    found = {}
    for each in run.stages:
        found[each.label, seen[each.label]] = each
        seen[each.label] += 1
    return found


def _differences(
    before: StageResult, after: StageResult, tolerance: float, draw: random.Random
) -> list[Difference]:
    first, second = _seconds(before), _seconds(after)
    found = []
    for name, measure, is_more_better in _MEASURES:
        if name == "rate" and after.mode == "open":
            continue  # it is what was asked for, as long as the server keeps up
        values = (measure(first), measure(second))
        change = _change(name, *values)
        low, high = _interval(name, measure, (first, second), draw)
        found.append(
            Difference(
                stage=after.label,
                name=name,
                before=values[0],
                after=values[1],
                change=change,
                low=low,
                high=high,
                verdict=_verdict((low, high), tolerance * _SCALE[name], is_more_better),
            )
        )
    return found


def _interval(
    name: str,
    measure: "_Measure",
    runs: tuple[Sequence[_Second], Sequence[_Second]],
    draw: random.Random,
) -> tuple[float | None, float | None]:
    first, second = runs
    if min(len(first), len(second)) < _LEAST_WINDOWS:
        return None, None
    changes: list[float] = []
    for _ in range(_DRAWS):
        drawn = [measure(draw.choices(each, k=len(each))) for each in runs]
        change = _change(name, *drawn)
        if change is not None:
            changes.append(change)
    if len(changes) < _DRAWS // 2:
        return None, None
    changes.sort()
    return changes[int(0.025 * len(changes))], changes[int(0.975 * len(changes))]


def _change(name: str, before: float | None, after: float | None) -> float | None:
    if before is None or after is None:
        return None
    if name == "errors":
        return after - before
    return after / before - 1 if before > 0 else None


def _verdict(
    interval: tuple[float | None, float | None], tolerance: float, is_more_better: bool
) -> str:
    low, high = interval
    if low is None or high is None:
        return "unknown"
    if low > tolerance:
        return "better" if is_more_better else "worse"
    if high < -tolerance:
        return "worse" if is_more_better else "better"
    return "same"


def _seconds(result: StageResult) -> list[_Second]:
    return [
        _Second(
            window.seconds,
            window.ok,
            sum(window.errors.values()),
            _ok_up_to(window.histogram),
        )
        for window in result.windows
    ]


def _ok_up_to(histogram: str) -> Sequence[int]:
    counts = [0] * len(_BUCKETS)
    for value_us, count in LatencyRecorder.decode(histogram).counts():
        bucket = round(_BUCKETS_PER_E * math.log(max(1, value_us)))
        counts[min(bucket, _BUCKETS[-1])] += count
    return list(accumulate(counts))


def _percentile(share: float) -> "_Measure":
    def measure(seconds: Sequence[_Second]) -> float | None:
        def up_to(bucket: int) -> int:
            return sum(each.ok_up_to[bucket] for each in seconds)

        total = up_to(_BUCKETS[-1])
        if not total:
            return None
        bucket = bisect_left(_BUCKETS, math.ceil(share * total), key=up_to)
        return math.exp(bucket / _BUCKETS_PER_E) / 1000

    return measure


def _rate(seconds: Sequence[_Second]) -> float | None:
    total_s = sum(each.seconds for each in seconds)
    return sum(each.ok for each in seconds) / total_s if total_s else None


def _errors(seconds: Sequence[_Second]) -> float | None:
    failed = sum(each.failed for each in seconds)
    ended = failed + sum(each.ok for each in seconds)
    return failed / ended if ended else None


_Measure = Callable[[Sequence[_Second]], float | None]

_MEASURES: Final[tuple[tuple[str, _Measure, bool], ...]] = (
    ("p50", _percentile(0.50), False),
    ("p99", _percentile(0.99), False),
    ("rate", _rate, True),
    ("errors", _errors, False),
)
# One error more in a hundred calls is as bad as a latency that is a fifth higher.
_SCALE: Final = {"p50": 1.0, "p99": 1.0, "rate": 1.0, "errors": 0.05}


def _notes(before: Run, after: Run) -> list[str]:
    notes = [
        f"{what} differ: {one} and {other}"
        for what, one, other in (
            ("machines", before.host.name, after.host.name),
            ("processors", before.host.cpu, after.host.cpu),
            ("questions", before.mix, after.mix),
            ("seeds", before.seed, after.seed),
        )
        if one != other
    ]
    rates = [each.search.rate_per_s for each in (before, after) if each.search is not None]
    if len(rates) == 2:
        found, found_then = ("none" if rate is None else f"{rate:g}/s" for rate in rates)
        notes.append(f"rates found by the searches: {found} and {found_then}")
    models = [f"{each.server.model_name} {each.server.model_version}" for each in (before, after)]
    if models[0] != models[1]:
        notes.append(f"models differ: {models[0]} and {models[1]}")
    alone = _by_label(before).keys() ^ _by_label(after).keys()
    if alone:
        labels = sorted({label for label, _ in alone})
        notes.append(f"only in one of the runs: {', '.join(labels)}")
    return notes
