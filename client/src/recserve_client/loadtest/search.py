"""The highest rate that keeps an objective, found by running stages."""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from .plan import PlanError

Try = Callable[[float], bool]
"""Runs a stage at a rate; returns whether the objective held."""

_CONFIRMED: Final = 2
_MOST_TRIES: Final = 40
"""After them it only makes sure of what it has."""
_MOST_PER_S: Final = 1_000_000.0


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchPlan:
    """Where to look, and how closely."""

    low_per_s: float = 50.0
    """The first rate that is tried."""
    high_per_s: float = 100_000.0
    """The highest rate that may be tried."""
    precision: float = 0.05
    """How far apart, as a share, the highest rate that holds and the lowest that does not may be
    at the end."""

    def __post_init__(self) -> None:
        """Raises PlanError if a field is out of range."""
        if not 0 < self.low_per_s <= self.high_per_s <= _MOST_PER_S:
            raise PlanError(
                f"a search is from {self.low_per_s:g} to {self.high_per_s:g}, must be from a lower "
                f"to a higher rate, above 0 and at most {_MOST_PER_S:.0f} per second"
            )
        # Rates of three digits lie up to 1 % apart.
        if not 0.02 <= self.precision <= 1:
            raise PlanError(f"precision is {self.precision:g}, must be from 2% to 100%")


@dataclass(slots=True)
class Searched:
    """What a search found so far; a rate that was missed once is decided by two of three tries."""

    holds: Counter[float] = field(default_factory=Counter)
    """By rate, how often it kept the objective."""
    misses: Counter[float] = field(default_factory=Counter)
    """By rate, how often it did not."""

    @property
    def best_per_s(self) -> float | None:
        """The highest rate that did, below the lowest that did not."""
        refused = self.refused_per_s or math.inf
        return max((rate for rate in self.holds if rate < refused), default=None)

    @property
    def refused_per_s(self) -> float | None:
        """The lowest rate that did not, twice."""
        return min((rate for rate, count in self.misses.items() if count > 1), default=None)

    def note(self, rate_per_s: float, held: bool) -> None:
        """Takes the outcome of a try."""
        (self.holds if held else self.misses)[rate_per_s] += 1

    def is_sure(self, rate_per_s: float) -> bool:
        """Returns whether the tries of a rate agree, or two of three."""
        holds, misses = self.holds[rate_per_s], self.misses[rate_per_s]
        return misses != 1 or holds > 1


def search(plan: SearchPlan, holds: Try) -> Searched:
    """Doubles the rate until it does not hold, then halves the ratio between the two.

    Neither the rate that it ends with nor the one above it is decided by a single stage, which may
    have been lucky or met with a hiccup of the machine.
    """
    found, tries = Searched(), 0
    rate_per_s: float | None = plan.low_per_s
    while rate_per_s is not None:
        found.note(rate_per_s, holds(rate_per_s))
        tries += 1
        if found.is_sure(rate_per_s):
            rate_per_s = _rate_to_look_at(plan, found) if tries < _MOST_TRIES else None
        best = found.best_per_s
        if rate_per_s is None and best is not None and found.holds[best] < _CONFIRMED:
            rate_per_s = best
    return found


def _rate_to_look_at(plan: SearchPlan, found: Searched) -> float | None:
    """Returns the rate that tells most; None if the best one is known closely enough."""
    best, refused = found.best_per_s, found.refused_per_s
    if best is None:
        # Not even the first: what is lower by steps of ten, down to one call per second.
        lower = max(1.0, (refused or plan.low_per_s) / 10)
        return lower if refused is not None and lower < refused else None
    if refused is None:
        return min(2 * best, plan.high_per_s) if best < plan.high_per_s else None
    return _rounded(math.sqrt(best * refused)) if refused / best > 1 + plan.precision else None


def _rounded(rate_per_s: float) -> float:
    """Rounds to three digits, which are nicer to read and close enough."""
    return float(f"{rate_per_s:.3g}")
