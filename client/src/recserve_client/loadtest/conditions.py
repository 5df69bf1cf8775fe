"""Objectives and conditions on results: p99<=20ms, errors<=0.1%; pure."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from . import units
from .plan import PlanError
from .result import Condition, StageResult

_PERCENTILES: Final[Mapping[str, str]] = {
    "p50": "p50_ms",
    "p75": "p75_ms",
    "p90": "p90_ms",
    "p95": "p95_ms",
    "p99": "p99_ms",
    "p99.9": "p999_ms",
    "max": "max_ms",
    "mean": "mean_ms",
}
NAMES: Final = (*_PERCENTILES, "errors", "rate")
"""What a condition may be about; `rate` is calls answered OK per second."""

_READERS: Final[Mapping[str, Callable[[str], float]]] = {"errors": units.share, "rate": units.rate}
_COMPARISON: Final = re.compile(r"\s*([a-z0-9.]+)\s*(<=|>=|<|>|=)\s*(.+)")
_IN_TIME_SHARE: Final = 0.95
"""Of the calls answered OK, those that must be so before the stage ends; fewer mean that calls pile
up, however quick the others are."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A limit of one quantity; times are milliseconds, shares from 0 to 1."""

    name: str
    """One of `NAMES`."""
    sign: str
    """`<`, `<=`, `>` or `>=`."""
    limit: float
    """What it is held against."""

    def __str__(self) -> str:
        """Spells it as it is read."""
        return f"{self.name}{self.sign}{_told(self.name, self.limit)}"

    def holds(self, result: StageResult) -> bool:
        """Returns whether the stage fulfils it; a quantity that is not known fulfils none."""
        value = value_of(self.name, result)
        if value is None:
            return False
        return {
            "<": value < self.limit,
            "<=": value <= self.limit,
            ">": value > self.limit,
            ">=": value >= self.limit,
        }[self.sign]


@dataclass(frozen=True, slots=True)
class Objective:
    """What every call should be like: limits that all must hold."""

    bounds: tuple[Bound, ...]
    """The limits."""

    def __str__(self) -> str:
        """Tells all of them."""
        return ", ".join(map(str, self.bounds))

    def holds(self, result: StageResult) -> bool:
        """Returns whether a stage kept it, and its server kept up."""
        # Not held against the rate: the calls of a Poisson process are some more or less than that.
        is_late = result.ok_per_s * result.seconds < _IN_TIME_SHARE * result.ok
        return not is_late and all(bound.holds(result) for bound in self.bounds)


def read_bound(text: str) -> Bound:
    """Reads "p99>20ms", "errors>0.1%" or "rate<1000".

    Raises:
        PlanError: it is none of them.
    """
    name, sign, limit = _parts(text)
    if sign == "=":
        raise PlanError(f"{text!r} has =, must have one of <, <=, > and >=")
    return Bound(name, sign, limit)


def read_objective(texts: Sequence[str], max_errors: float) -> Objective:
    """Reads what a search is to keep: ["p99=20ms"]; each is an upper limit of a latency.

    Raises:
        PlanError: one of them is no limit of a latency.
    """
    bounds = []
    for part in (part for text in texts for part in text.split(",")):
        name, sign, limit = _parts(part)
        if name not in _PERCENTILES or sign.startswith(">"):
            raise PlanError(f"{part!r} is no objective such as p99=20ms")
        bounds.append(Bound(name, "<=" if sign == "=" else sign, limit))
    return Objective((*bounds, Bound("errors", "<=", max_errors)))


def judge(texts: Sequence[str], stages: Sequence[StageResult]) -> tuple[Condition, ...]:
    """Tells of each condition whether any stage fulfils it, so that the run fails.

    Raises:
        PlanError: a condition cannot be read.
    """
    judged = []
    for text in texts:
        bound = read_bound(text)
        hits = [result for result in stages if bound.holds(result)]
        shown = hits[0] if hits else _nearest(bound, stages)
        value = value_of(bound.name, shown)
        seen = "unknown" if value is None else _told(bound.name, value)
        judged.append(
            Condition(
                text=str(bound),
                seen=f"{bound.name} is {seen} at {shown.label}",
                # What was never answered must not pass for quick.
                failed=bool(hits) or value is None,
            )
        )
    return tuple(judged)


def _nearest(bound: Bound, stages: Sequence[StageResult]) -> StageResult:
    """Returns the stage that came closest to fulfilling a bound that none fulfils."""
    sign = 1 if bound.sign.startswith(">") else -1

    def closeness(result: StageResult) -> float:
        value = value_of(bound.name, result)
        return float("inf") if value is None else sign * value

    return max(stages, key=closeness)


def value_of(name: str, result: StageResult) -> float | None:
    """Returns the quantity of that name: milliseconds, a share, or calls per second."""
    if name == "errors":
        return result.error_share
    if name == "rate":
        return result.ok_per_s
    value: float | None = getattr(result.latency, _PERCENTILES[name])
    return value


def _parts(text: str) -> tuple[str, str, float]:
    """Splits a condition into name, sign (one of them is =) and limit."""
    found = _COMPARISON.fullmatch(text)
    if found is None or found[1] not in NAMES:
        raise PlanError(f"{text!r} is no condition such as p99>20ms; names are {', '.join(NAMES)}")
    return found[1], found[2], _READERS.get(found[1], units.latency_ms)(found[3])


def _told(name: str, value: float) -> str:
    if name == "errors":
        return f"{100 * value:.3g}%"
    digits = f"{value:.4g}" if value < 1000 else f"{value:.0f}"
    return f"{digits}/s" if name == "rate" else f"{digits}ms"
