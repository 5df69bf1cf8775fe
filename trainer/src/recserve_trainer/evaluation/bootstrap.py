"""Intervals from drawing users again and again (Efron & Tibshirani, 1993, percentiles); pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

DRAWS: Final = 5000
_DRAWS_PER_CHUNK: Final = 250


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over users, and where 95 % of the means of redrawn users lie."""

    mean: float
    low: float
    high: float


def mean_intervals(
    values: Mapping[str, NDArray[np.float64]], *, seed: int, draws: int = DRAWS
) -> dict[str, Interval]:
    """Returns the intervals of several means over the same users, from the same draws.

    They cover who the users happen to be; not the split, nor the training.

    Args:
        values: by name, float64 [users], one or more of them.
        seed: fixes the draws; for equally many users equal seeds draw the same ones.
        draws: sets of users to draw, each of as many as there are, with replacement.
    """
    columns = np.stack(list(values.values()), axis=1)
    random, count = np.random.default_rng(seed), len(columns)
    means: list[NDArray[np.float64]] = []
    for start in range(0, draws, _DRAWS_PER_CHUNK):
        size = min(_DRAWS_PER_CHUNK, draws - start)
        # How often each user is drawn is all that a mean depends on.
        times = random.multinomial(count, np.full(count, 1 / count), size=size)
        means.append(times @ columns / count)
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975], axis=0)
    return {
        name: Interval(float(columns[:, place].mean()), float(low[place]), float(high[place]))
        for place, name in enumerate(values)
    }


def mean_interval(values: NDArray[np.float64], *, seed: int, draws: int = DRAWS) -> Interval:
    """Returns what `mean_intervals` does, of one mean."""
    return mean_intervals({"": values}, seed=seed, draws=draws)[""]


def difference_intervals(
    values: Mapping[str, NDArray[np.float64]],
    others: Mapping[str, NDArray[np.float64]],
    *,
    seed: int,
    draws: int = DRAWS,
) -> dict[str, Interval]:
    """Returns the intervals of mean differences `values - others`, each user paired with itself.

    Args:
        values: by name, float64 [users].
        others: the same names, of the same users in the same order.
        seed: fixes the draws.
        draws: sets of users to draw.

    Raises:
        ValueError: there are other names, or other numbers of users.
    """
    if values.keys() != others.keys():
        raise ValueError(f"{', '.join(values)} cannot be paired with {', '.join(others)}")
    for name, of in values.items():
        if of.shape != others[name].shape:
            raise ValueError(f"{len(of)} users cannot be paired with {len(others[name])}")
    differences = {name: of - others[name] for name, of in values.items()}
    return mean_intervals(differences, seed=seed, draws=draws)


def difference_interval(
    values: NDArray[np.float64], others: NDArray[np.float64], *, seed: int, draws: int = DRAWS
) -> Interval:
    """Returns what `difference_intervals` does, of one difference."""
    return difference_intervals({"": values}, {"": others}, seed=seed, draws=draws)[""]
