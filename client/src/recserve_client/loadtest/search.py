"""The highest rate that keeps an objective, found by running stages."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from .plan import PlanError

Try = Callable[[float], bool]
"""Runs a stage at a rate; returns whether the objective held."""

_MOST_TRIES: Final = 24
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
    """What a search found."""

    held_per_s: list[float] = field(default_factory=list)
    """Rates that kept the objective, ascending."""
    refused_per_s: float | None = None
    """The lowest rate that did not."""

    @property
    def best_per_s(self) -> float | None:
        """The highest rate that did."""
        return self.held_per_s[-1] if self.held_per_s else None

    def note(self, rate_per_s: float, held: bool) -> None:
        """Takes the outcome of a try; a lower rate that fails outweighs a higher one that held."""
        if held:
            self.held_per_s = sorted({*self.held_per_s, rate_per_s})
            return
        self.refused_per_s = rate_per_s
        self.held_per_s = [each for each in self.held_per_s if each < rate_per_s]


def search(plan: SearchPlan, holds: Try) -> Searched:
    """Doubles the rate until it does not hold, then halves the ratio between the two.

    The rate that it ends with has been tried a second time: one lucky stage is not enough.
    """
    found, confirmed = Searched(), set[float]()
    rate_per_s: float | None = plan.low_per_s
    tries = 0
    while rate_per_s is not None:
        is_again = rate_per_s in found.held_per_s
        held = holds(rate_per_s)
        found.note(rate_per_s, held)
        if held and is_again:
            confirmed.add(rate_per_s)
        tries += 1
        rate_per_s = _rate_to_look_at(plan, found) if tries < _MOST_TRIES else None
        if rate_per_s is None and found.best_per_s not in confirmed:
            rate_per_s = found.best_per_s
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
