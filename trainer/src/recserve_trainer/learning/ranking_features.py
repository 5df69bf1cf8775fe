"""What a ranker looks at: numbers of a user and an item together, from small tables.

The same numbers are computed twice, in NumPy to learn from and in TensorFlow to serve. Trees jump
at their thresholds, so nearly the same would not do; it has to be the same to the last bit. So
inner products are of whole numbers so small that float32 adds them up without rounding, in any
order, and everything else is one rounding operation or none.
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from recserve_trainer.evaluation.metrics import users_per_chunk
from recserve_trainer.interactions import Histories

_NORM: Final = 2**11
"""Most that the norm of a vector of whole numbers may be: what is summed in an inner product, and
so any part of the sum, stays below 2^22 or, rounded up, 2^23; float32 holds whole numbers to 2^24
(Cauchy-Schwarz; IEEE 754)."""
_TENTH: Final = 9


@dataclass(frozen=True, slots=True)
class Products:
    """Features that are inner products of a user's and an item's vector, as whole numbers."""

    users: NDArray[np.int16]
    """[users, features, width]"""
    items: NDArray[np.int16]
    """[items, width]"""
    scales: NDArray[np.float32]
    """[features]: powers of 2 that the products are to be multiplied by."""

    @classmethod
    def of(cls, users: NDArray[np.float64], items: NDArray[np.float64]) -> Self:
        """Rounds vectors to the finest grid on which every product is exact.

        Args:
            users: [users, features, width], each feature on a grid of its own.
            items: [items, width].
        """
        whole_items, item_step = _whole(items)
        users_of_features = [_whole(users[:, feature]) for feature in range(users.shape[1])]
        whole_users = np.zeros(users.shape, np.int16)
        for feature, (whole, _) in enumerate(users_of_features):
            whole_users[:, feature] = whole
        steps = np.array([step for _, step in users_of_features], np.float64)
        return cls(whole_users, whole_items, (steps * item_step).astype(np.float32))

    def first(self, user_rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Returns the first feature of some users and every item, float32 [n, items]."""
        users = self.users[user_rows, 0].astype(np.float32)
        scores: NDArray[np.float32] = users @ self.items.astype(np.float32).T
        scaled: NDArray[np.float32] = scores * self.scales[0]
        return scaled


@dataclass(frozen=True, slots=True)
class FeatureTables:
    """All that the features of any user and item are computed from."""

    names: tuple[str, ...]
    """Of the features, in their order: products, rank, gap, differences, lifts."""
    products: Products
    best: NDArray[np.float32]
    """[users, n], descending: the first product's best values among a user's unseen items; -inf
    where there are fewer."""
    item_numbers: NDArray[np.float32]
    """[items, differences]"""
    user_numbers: NDArray[np.float32]
    """[users, differences]; a feature is the item's number minus the user's."""
    lifts: NDArray[np.float32]
    """[groups, items]: how much more a group of users takes an item than everybody; the last group
    is nobody's, zeros."""
    user_groups: NDArray[np.int32]
    """[users, lifts]: the groups that each user is in, one for each attribute."""

    def compute(
        self, user_rows: NDArray[np.int32], item_rows: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """Computes all features in NumPy.

        Args:
            user_rows: int32 [batch].
            item_rows: int32 [batch, n].

        Returns:
            float32 [batch, n, len(names)], finite.
        """
        items = self.products.items[item_rows].astype(np.float32)
        users = self.products.users[user_rows].astype(np.float32)
        products = (items @ users.transpose(0, 2, 1)) * self.products.scales
        best, first = self.best[user_rows], products[:, :, 0]
        ranks = [np.searchsorted(-row, -values) for row, values in zip(best, first, strict=True)]
        differences = self.item_numbers[item_rows] - self.user_numbers[user_rows][:, None]
        lifts = self.lifts[self.user_groups[user_rows][:, None], item_rows[:, :, None]]
        columns = [
            products,
            np.array(ranks, np.float32).reshape(*first.shape, 1),
            (first - _tenth(best))[:, :, None],
            differences,
            lifts,
        ]
        return np.concatenate(columns, axis=2, dtype=np.float32)


class RankingFeatures(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
    """`FeatureTables.compute` inside a graph."""

    def __init__(self, tables: FeatureTables) -> None:
        super().__init__(name="ranking_features")
        self._products = tables.products
        self._user_vectors = _table(tables.products.users, "user_vectors")
        self._item_vectors = _table(tables.products.items, "item_vectors")
        self._best = _table(tables.best, "best")
        self._tenth = _table(_tenth(tables.best), "tenth")
        self._item_numbers = _table(tables.item_numbers, "item_numbers")
        self._user_numbers = _table(tables.user_numbers, "user_numbers")
        self._lifts = _table(tables.lifts, "lifts")
        self._user_groups = _table(tables.user_groups, "user_groups")

    def compute(self, user_rows: tf.Tensor, item_rows: tf.Tensor) -> tf.Tensor:
        """int32 [batch] and [batch, n] -> float32 [batch, n, features]."""
        items = tf.cast(tf.gather(self._item_vectors, item_rows), tf.float32)
        users = tf.cast(tf.gather(self._user_vectors, user_rows), tf.float32)
        products = tf.matmul(items, users, transpose_b=True) * self._products.scales
        best, first = tf.gather(self._best, user_rows), products[:, :, 0]
        ranks = tf.searchsorted(-best, -first)
        gaps = first - tf.gather(self._tenth, user_rows)
        user_numbers = tf.gather(self._user_numbers, user_rows)
        differences = tf.gather(self._item_numbers, item_rows) - user_numbers[:, None]
        groups = tf.gather(self._user_groups, user_rows)
        pairs = tf.stack(_pairs(groups, item_rows), axis=-1)
        lifts = tf.gather_nd(self._lifts, pairs)
        extra = tf.stack([tf.cast(ranks, tf.float32), gaps], axis=2)
        return tf.concat([products, extra, differences, lifts], axis=2)


def _pairs(groups: tf.Tensor, item_rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Broadcasts groups [batch, lifts] and items [batch, n] to [batch, n, lifts], both."""
    shape = tf.stack([*tf.unstack(tf.shape(item_rows)), tf.shape(groups)[1]])
    of_groups = tf.broadcast_to(groups[:, None, :], shape)
    return of_groups, tf.broadcast_to(item_rows[:, :, None], shape)


def best_scores(products: Products, seen: Histories, count: int) -> NDArray[np.float32]:
    """Returns [users, min(count, items)], each user's best first products of unseen items."""
    item_count = len(products.items)
    best = np.zeros((len(seen), min(count, item_count)), np.float32)
    step = users_per_chunk(item_count)
    for start in range(0, len(seen), step):
        rows = np.arange(start, min(start + step, len(seen)), dtype=np.int32)
        scores, pairs = products.first(rows), seen.pairs(rows)
        scores[pairs[:, 0], pairs[:, 1]] = -np.inf
        best[rows] = -np.sort(-scores, axis=1)[:, :count]
    return best


def _tenth(best: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns [users, 1]: the tenth best score or, of fewer, the last; 0 if there is none."""
    counts = (best > -np.inf).sum(axis=1)
    places = np.clip(counts - 1, 0, _TENTH)[:, None]
    found = np.take_along_axis(best, places, axis=1)
    return np.where(counts[:, None] > 0, found, np.float32(0))


def _whole(vectors: NDArray[np.float64]) -> tuple[NDArray[np.int16], float]:
    """Returns the vectors as whole numbers of a step, a power of 2, and the step."""
    largest = float(np.sqrt((vectors**2).sum(axis=-1)).max(initial=0))
    step = 2.0 ** np.ceil(np.log2(largest / _NORM)) if largest > 0 else 1.0
    return np.rint(vectors / step).astype(np.int16), step


def _table(values: NDArray[np.generic], name: str) -> tf.Variable:
    return tf.Variable(values, trainable=False, name=name)
