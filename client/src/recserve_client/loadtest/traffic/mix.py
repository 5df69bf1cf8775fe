"""A mix of questions as users would ask them: data, checked at birth."""

from dataclasses import dataclass
from typing import Final, NamedTuple

from recserve_client._questions import Filter
from recserve_client.loadtest.plan import PlanError


class Span(NamedTuple):
    """A whole number drawn evenly between two ends, both included."""

    low: int
    high: int


_UP_TO_20: Final = Span(1, 20)


@dataclass(frozen=True, kw_only=True, slots=True)
class Mix:
    """Which questions are asked, and how often; shares are from 0 to 1."""

    zipf: float = 1.0
    """Exponent of Zipf's law: the n-th most frequent user asks 1/n^zipf as often as the first; 0
    means that all ask alike."""
    unknown_share: float = 0.0
    """Of users that the model does not know."""
    ks: tuple[tuple[int, float], ...] = ((10, 1.0),)
    """(k, weight): how many items are wanted."""
    history_share: float = 0.0
    """Of questions that bring a history."""
    history_length: Span = _UP_TO_20
    """Items in it."""
    exclusion_share: float = 0.0
    """Of questions that exclude items."""
    exclusion_count: Span = _UP_TO_20
    """How many."""
    filter_share: float = 0.0
    """Of questions that bring `filters`."""
    filters: tuple[Filter, ...] = ()
    """What items must fulfil, all of them."""
    batch_share: float = 0.0
    """Of calls that are a BatchRecommend of several questions."""
    batch_size: int = 64
    """Users in such a call."""

    def __post_init__(self) -> None:
        """Raises PlanError naming the first field that is out of range."""
        if not 0 <= self.zipf <= 5:
            raise PlanError(f"zipf is {self.zipf:g}, must be from 0 to 5")
        for name, share in (
            ("unknown share", self.unknown_share),
            ("history share", self.history_share),
            ("exclusion share", self.exclusion_share),
            ("filter share", self.filter_share),
            ("batch share", self.batch_share),
        ):
            if not 0 <= share <= 1:
                raise PlanError(f"{name} is {share:g}, must be from 0 to 1 (or 0% to 100%)")
        for k, weight in self.ks:
            if k < 1 or not 0 < weight < 1e9:
                raise PlanError(
                    f"k is {k} of weight {weight:g}, must be from 1, its weight above 0"
                )
        for name, (low, high) in (
            ("history length", self.history_length),
            ("exclusion count", self.exclusion_count),
        ):
            if not 1 <= low <= high <= 1000:
                raise PlanError(f"{name} is {low}..{high}, must lie from 1 to 1000, ascending")
        if not 1 <= self.batch_size <= 256:
            raise PlanError(f"batch size is {self.batch_size}, must be from 1 to 256")
        if self.filter_share and not self.filters:
            raise PlanError("filter share is given, but there is no filter")

    def __str__(self) -> str:
        """Tells the mix in a line."""
        told = [f"zipf {self.zipf:g}"]
        ks = ",".join(f"{k}={weight:g}" for k, weight in self.ks)
        told.append(f"k {self.ks[0][0] if len(self.ks) == 1 else ks}")
        if self.unknown_share:
            told.append(f"{self.unknown_share:.4g} unknown users")
        for share, what, (low, high) in (
            (self.history_share, "with a history of", self.history_length),
            (self.exclusion_share, "with exclusions:", self.exclusion_count),
        ):
            if share:
                told.append(f"{share:.4g} {what} {low}..{high}")
        if self.filter_share:
            told.append(f"{self.filter_share:.4g} with {', '.join(map(repr, self.filters))}")
        if self.batch_share:
            told.append(f"{self.batch_share:.4g} batches of {self.batch_size} users")
        return "; ".join(told)
