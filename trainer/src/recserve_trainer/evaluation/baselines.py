"""What any model has to beat."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recserve_trainer.evaluation.linear_baselines import ease, ials
from recserve_trainer.evaluation.metrics import Scorer
from recserve_trainer.evaluation.neighbours import item_knn, sar
from recserve_trainer.interactions import Dataset, Interactions
from recserve_trainer.tables import Column, ItemTable

_RANDOM_SEED: Final = 0
_NUMBER_BINS: Final = 10


def item_counts(train: Interactions, item_count: int) -> NDArray[np.int64]:
    """Returns [item_count]: the training interactions of each item."""
    return np.bincount(train.item_rows, minlength=item_count)


def popularity_scorer(train: Interactions, item_count: int) -> Scorer:
    """Scores every item by its training interactions, the same for each user."""
    return _same_for_all(item_counts(train, item_count))


def content_popularity(items: ItemTable, train: Interactions) -> NDArray[np.float64]:
    """Scores items by how much is taken of others with the same attributes, also new ones.

    The score of an attribute's value is the mean number of training interactions of the items that
    have it and are taken at all; numbers are cut into ten bins of equally many items. The score of
    an item is the mean over the values of each attribute, then over the attributes. The best that
    can be said of a new item without knowing who asks.

    Returns:
        float64 [items]; 0 without attributes.
    """
    counts = item_counts(train, len(items)).astype(np.float64)
    parts = [
        _mean_of_values(_values(column), counts)
        for column in items.columns.values()
        if column.kind != "text"
    ]
    return np.mean(parts, axis=0) if parts else np.zeros(len(items))


class Baseline(Protocol):
    """A fitted baseline: it scores for whoever is known by some interactions."""

    def scorer(self, known: Interactions) -> Scorer:
        """Returns the scorer for users of the user table who have taken `known`, and only that.

        They need not be users of the training part.
        """
        ...


@dataclass(frozen=True, slots=True)
class Unpersonal:
    """The same scores for everybody."""

    scores: NDArray[np.float64]
    """[items]."""

    def scorer(self, known: Interactions) -> Scorer:
        """Returns what scores without looking at who asks."""
        return _same_for_all(self.scores)


@dataclass(frozen=True, slots=True)
class RandomScores:
    """Other random scores for every user, the same ones each time.

    Its recall@k is k / candidates, give or take the luck of one draw.
    """

    item_count: int

    def scorer(self, known: Interactions) -> Scorer:
        """Returns what draws by the rows of users."""
        return lambda users: np.stack([self._draw(int(user)) for user in users])

    def _draw(self, user: int) -> NDArray[np.float32]:
        random = np.random.default_rng([_RANDOM_SEED, user])
        return random.random(self.item_count, dtype=np.float32)


BASELINES: Final[dict[str, Callable[[Dataset, Interactions], Baseline]]] = {
    "random": lambda dataset, train: RandomScores(len(dataset.items)),
    "popularity": lambda dataset, train: Unpersonal(
        item_counts(train, len(dataset.items)).astype(np.float64)
    ),
    "content-popularity": lambda dataset, train: Unpersonal(
        content_popularity(dataset.items, train)
    ),
    "item-knn": lambda dataset, train: item_knn(train, _shape(dataset)),
    "sar": lambda dataset, train: sar(train, _shape(dataset)),
    "ials": lambda dataset, train: ials(train, _shape(dataset)),
    "ease": lambda dataset, train: ease(train, _shape(dataset)),
}
"""By name: what fits a baseline to the training part."""


def _shape(dataset: Dataset) -> tuple[int, int]:
    return len(dataset.users), len(dataset.items)


def _same_for_all(scores: NDArray[np.generic]) -> Scorer:
    row = scores.astype(np.float32)
    return lambda user_rows: np.tile(row, (len(user_rows), 1))


def _values(column: Column) -> list[list[str]]:
    """Returns the values of each row as text, a number as its bin; none where not known."""
    if column.kind == "category":
        rows = column.values.to_pylist()
        return [row if isinstance(row, list) else [row] if row else [] for row in rows]
    numbers = column.values.cast(pa.float64()).to_numpy(zero_copy_only=False)
    is_known = np.isfinite(numbers)
    edges = np.quantile(numbers[is_known], np.linspace(0, 1, _NUMBER_BINS + 1)[1:-1])
    bins = np.searchsorted(edges, numbers, side="right")
    return [[str(place)] if known else [] for place, known in zip(bins, is_known, strict=True)]


def _mean_of_values(rows: list[list[str]], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns [items]: the mean over an item's values of what items with that value are taken."""
    sums: dict[str, float] = {}
    items: dict[str, int] = {}
    for values, count in zip(rows, counts.tolist(), strict=True):
        for value in values if count else ():
            sums[value] = sums.get(value, 0.0) + count
            items[value] = items.get(value, 0) + 1
    means = {value: total / items[value] for value, total in sums.items()}
    overall = counts.sum() / max(1, np.count_nonzero(counts))
    return np.array(
        [np.mean([means.get(value, 0.0) for value in values] or [overall]) for values in rows]
    )
