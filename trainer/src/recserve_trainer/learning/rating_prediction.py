"""Predicts explicit ratings: inputs, an ensemble of networks, and the errors it makes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from recserve_trainer.errors import TrainerError
from recserve_trainer.features import encode, fit_features
from recserve_trainer.interactions import Dataset, Interactions
from recserve_trainer.learning.dcn import RatingConfig, RatingInputs, RatingModel, fit_member
from recserve_trainer.tables import Column

_DIRECTIONS: Final = 16
"""Of who rated what, whatever the rating, that the network is told."""
_PAIRS_PER_BATCH: Final = 8192
_K: Final = 10


@dataclass(frozen=True, slots=True)
class RatingMetrics:
    """How far predicted ratings are from those that were given."""

    rmse: float
    """Root of the mean squared error, in stars."""
    mae: float
    """Mean absolute error, in stars."""
    ndcg: float
    """Of each user's test items, ordered by predicted rating, the 10 first; gains 2^rating - 1
    (Burges et al. 2005); mean of the users."""
    count: int
    """Ratings predicted."""

    def by_name(self) -> dict[str, float]:
        """Returns the values keyed as they are reported."""
        return {"rmse": self.rmse, "mae": self.mae, f"ndcg@{_K}": self.ndcg}


class RatingPredictor:
    """The mean of several networks, clipped to the scale of the training ratings."""

    def __init__(self, models: Sequence[RatingModel], lowest: float, highest: float) -> None:
        self._models, self._lowest, self._highest = tuple(models), lowest, highest

    def predict(
        self, user_rows: NDArray[np.int32], item_rows: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """Predicts a rating for each pair, float32 [pairs]."""
        parts: list[NDArray[np.float32]] = []
        for start in range(0, len(user_rows), _PAIRS_PER_BATCH):
            batch = slice(start, start + _PAIRS_PER_BATCH)
            pairs = {"user": tf.constant(user_rows[batch]), "item": tf.constant(item_rows[batch])}
            parts.append(np.mean([model(pairs).numpy() for model in self._models], axis=0))
        predicted = np.concatenate(parts) if parts else np.empty(0, np.float32)
        return np.clip(predicted, self._lowest, self._highest)


def fit_ratings(dataset: Dataset, train: Interactions, config: RatingConfig) -> RatingPredictor:
    """Learns to predict ratings.

    Raises:
        TrainerError: a training interaction has no rating.
    """
    if not len(train) or not np.isfinite(train.ratings).all():
        missing = int((~np.isfinite(train.ratings)).sum())
        raise TrainerError(
            f"{missing} of {len(train)} training interactions have no rating; all must, and there "
            "must be one"
        )
    inputs = rating_inputs(dataset, train)
    ratings: dict[str, NDArray[np.generic]] = {
        "user": train.user_rows,
        "item": train.item_rows,
        "rating": train.ratings,
    }
    models = [fit_member(inputs, ratings, config, member) for member in range(config.members)]
    return RatingPredictor(models, float(train.ratings.min()), float(train.ratings.max()))


def rating_inputs(dataset: Dataset, train: Interactions) -> RatingInputs:
    """Encodes attributes and who rated what; of the ratings themselves only their mean."""
    users = _attributes(dataset.users.columns, train.user_rows, len(dataset.users))
    items = _attributes(dataset.items.columns, train.item_rows, len(dataset.items))
    user_counts = np.bincount(train.user_rows, minlength=len(dataset.users))
    item_counts = np.bincount(train.item_rows, minlength=len(dataset.items))
    of_users, of_items = implicit_directions(train, user_counts, item_counts)
    return RatingInputs(
        users=np.column_stack([users, _logs(user_counts), of_users]).astype(np.float32),
        items=np.column_stack([items, _logs(item_counts), of_items]).astype(np.float32),
        known_users=user_counts > 0,
        known_items=item_counts > 0,
        mean=float(train.ratings.mean()),
    )


def implicit_directions(
    train: Interactions, user_counts: NDArray[np.int64], item_counts: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Finds the main directions of who rated what, each user and item of the same weight.

    Of the matrix of ones, divided by the roots of its row and column sums (as in Dhillon,
    "Co-clustering documents and words using bipartite spectral graph partitioning", 2001).

    Returns:
        float64 [users, n] and [items, n], of deviation 1 each; zeros for who is not there.
    """
    ones = np.zeros((len(user_counts), len(item_counts)))
    ones[train.user_rows, train.item_rows] = 1
    user_roots = np.sqrt(np.maximum(user_counts, 1))[:, None]
    item_roots = np.sqrt(np.maximum(item_counts, 1))[None]
    ones /= user_roots * item_roots
    left, _, right = np.linalg.svd(ones, full_matrices=False)
    # The first direction says nothing but the counts.
    users = left[:, 1 : 1 + _DIRECTIONS] / user_roots
    items = right[1 : 1 + _DIRECTIONS].T / item_roots.T
    return _scaled(users), _scaled(items)


def rating_metrics(predicted: NDArray[np.float32], test: Interactions) -> RatingMetrics:
    """Compares predictions, one per test interaction, with the ratings given."""
    errors = predicted.astype(np.float64) - test.ratings
    return RatingMetrics(
        rmse=float(np.sqrt((errors**2).mean())),
        mae=float(np.abs(errors).mean()),
        ndcg=_ndcg(predicted, test),
        count=len(test),
    )


def _ndcg(predicted: NDArray[np.float32], test: Interactions) -> float:
    found: list[float] = []
    for user in np.unique(test.user_rows):
        rows = np.flatnonzero(test.user_rows == user)
        # Equal predictions in the order of the catalogue, which has nothing to do with ratings.
        order = rows[np.lexsort((test.item_rows[rows], -predicted[rows]))][:_K]
        gains = 2 ** test.ratings[rows].astype(np.float64) - 1
        discounts = 1 / np.log2(np.arange(2, _K + 2))
        ideal = np.sort(gains)[::-1][:_K] @ discounts[: min(_K, len(rows))]
        reached = (2 ** test.ratings[order].astype(np.float64) - 1) @ discounts[: len(order)]
        found.append(float(reached / ideal) if ideal > 0 else 1.0)
    return float(np.mean(found))


def _attributes(
    columns: dict[str, Column], rows: NDArray[np.int32], count: int
) -> NDArray[np.float32]:
    return encode(fit_features(columns, np.unique(rows)), columns, count)


def _logs(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    logs = np.log1p(counts.astype(np.float64))
    scaled: NDArray[np.float64] = (logs - logs.mean()) / max(float(logs.std()), 1e-9)
    return scaled


def _scaled(directions: NDArray[np.float64]) -> NDArray[np.float64]:
    scaled: NDArray[np.float64] = directions / np.maximum(directions.std(axis=0), 1e-12)
    return np.clip(scaled, -3, 3)
