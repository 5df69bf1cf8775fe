"""From a history to a query inside the graph: what the history family saves with the index.

Nothing here is learnt; the towers hold what EASE and iALS were fitted to and repeat their last step
for a history that may be anybody's. A user id is not needed.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from recserve_trainer.features import Feature
from recserve_trainer.fit_configs import HistoryConfig
from recserve_trainer.learning.ials import RatingScale, regularisation
from recserve_trainer.retrieval import Queries

_FLAT: Final = 1e-6
"""Scores stand for 0 or 1; where they spread less than this they differ by rounding alone."""


class UserStep(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
    """iALS's last half-step, from a history to a user vector; see `ials.solve_rows`."""

    def __init__(
        self, items: NDArray[np.float32], scale: RatingScale, config: HistoryConfig
    ) -> None:
        """Takes the item vectors [items, dimension] and the scale that the ratings are on."""
        super().__init__(name="user_step")
        self.items = tf.Variable(items, trainable=False, name="ials_items")
        of_all = config.ials_alpha * (items.astype(np.float64).T @ items)
        self._of_all = tf.Variable(of_all, trainable=False, dtype=tf.float32, name="ials_gram")
        self._scale, self._config = scale, config

    def vectors(self, history: tf.Tensor, ratings: tf.Tensor, batch: tf.Tensor) -> tf.Tensor:
        """Solves one system per user, float32 [batch, dimension]; zeros without a history."""
        alpha = self._config.ials_alpha
        counts = tf.math.bincount(history[:, 0], minlength=batch, maxlength=batch)
        columns, confidences = self._padded(history, ratings, counts)
        of_row = tf.gather(self.items, columns)
        totals = tf.cast(counts, tf.float32) + alpha * self.items.shape[0]
        l2 = self._config.ials_l2 * totals**self._config.ials_l2_power
        systems = tf.matmul(of_row * confidences[:, :, None], of_row, transpose_a=True)
        systems += self._of_all + l2[:, None, None] * tf.eye(self.items.shape[1])
        pull = tf.where(confidences > 0, confidences + alpha, 0.0)
        targets = tf.matmul(of_row, pull[:, :, None], transpose_a=True)
        return tf.linalg.cholesky_solve(tf.linalg.cholesky(systems), targets)[:, :, 0]

    def _padded(
        self, history: tf.Tensor, ratings: tf.Tensor, counts: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        order = tf.argsort(history[:, 0], stable=True)
        positions = tf.gather(history[:, 0], order)
        starts = tf.cumsum(counts, exclusive=True)
        places = tf.range(tf.shape(order)[0]) - tf.gather(starts, positions)
        entries = tf.stack([positions, places], axis=1)
        # The maximum of no counts at all is the lowest integer.
        shape = tf.stack([tf.shape(counts)[0], tf.maximum(tf.reduce_max(counts), 0)])
        columns = tf.scatter_nd(entries, tf.gather(history[:, 1], order), shape)
        confidences = self._confidence(tf.gather(ratings, order))
        return columns, tf.scatter_nd(entries, confidences, shape)

    def _confidence(self, ratings: tf.Tensor) -> tf.Tensor:
        scale, span = self._scale, self._scale.highest - self._scale.lowest
        if span <= 0:
            return tf.ones_like(ratings)
        place = tf.clip_by_value((ratings - scale.lowest) / span, 0.0, 1.0)
        slope = 2 * (1 - scale.least_confidence)
        confidences = tf.minimum(1.0, scale.least_confidence + slope * place)
        return tf.where(tf.math.is_nan(ratings), 1.0, confidences)

    def oracle(self, queries: Queries) -> NDArray[np.float64]:
        """Solves the same in float64, one dense system at a time: [batch, dimension]."""
        items = self.items.numpy().astype(np.float64)
        alpha = self._config.ials_alpha
        of_all = alpha * (items.T @ items)
        solved = np.zeros((len(queries.features), items.shape[1]))
        for row in range(len(solved)):
            is_mine = queries.history[:, 0] == row
            confidences = self._scale.confidence(queries.ratings[is_mine])
            mine = items[queries.history[is_mine, 1]]
            [l2] = regularisation(np.array([is_mine.sum()]), len(items), self._config)
            system = of_all + mine.T @ np.diag(confidences) @ mine + l2 * np.eye(len(of_all))
            solved[row] = np.linalg.solve(system, mine.T @ (confidences + alpha))
        return solved


class BlendedScores(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
    """Scores of EASE and iALS, standardised over all items, seen ones too, and added."""

    def __init__(self, item_item: NDArray[np.float32], user_step: UserStep, blend: float) -> None:
        """Takes EASE's matrix [items, items] and the weight of iALS beside it."""
        super().__init__(name="blended_scores")
        self._item_item = tf.Variable(item_item, trainable=False, name="ease_items")
        self._user_step, self._blend = user_step, blend

    def scores(self, history: tf.Tensor, ratings: tf.Tensor, features: tf.Tensor) -> tf.Tensor:
        """Returns float32 [batch, items]; zeros for a history that says nothing.

        `features` is [batch, 0], for the size of the batch.
        """
        batch = tf.shape(features)[0]
        item_count = tf.constant(self._item_item.shape[0], tf.int64)
        taken = tf.SparseTensor(
            tf.cast(history, tf.int64),
            tf.ones_like(history[:, 0], tf.float32),
            tf.stack([tf.cast(batch, tf.int64), item_count]),
        )
        of_ease = tf.sparse.sparse_dense_matmul(taken, self._item_item)
        vectors = self._user_step.vectors(history, ratings, batch)
        of_ials = tf.matmul(vectors, self._user_step.items, transpose_b=True)
        return _standardised(of_ease) + self._blend * _standardised(of_ials)

    def oracle(self, queries: Queries) -> NDArray[np.float64]:
        """Scores the same in NumPy, in float64."""
        item_item = self._item_item.numpy().astype(np.float64)
        taken = np.zeros((len(queries.features), len(item_item)))
        taken[queries.history[:, 0], queries.history[:, 1]] = 1
        items = self._user_step.items.numpy().astype(np.float64)
        blended = np.zeros_like(taken)
        parts = (taken @ item_item, 1.0), (self._user_step.oracle(queries) @ items.T, self._blend)
        for scores, weight in parts:
            deviation = scores.std(axis=1, keepdims=True)
            centred = scores - scores.mean(axis=1, keepdims=True)
            blended += weight * np.where(deviation > _FLAT, centred / (deviation + 1e-300), 0)
        return blended


def _standardised(scores: tf.Tensor) -> tf.Tensor:
    mean, variance = tf.nn.moments(scores, axes=[1], keepdims=True)
    return tf.where(variance > _FLAT**2, (scores - mean) * tf.math.rsqrt(variance), 0.0)


class HistoryTower(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
    """Blended scores on the basis of the item vectors: query . item is the blended score.

    A history that is empty, or holds only items of which nothing is known, has the mean query of
    the training users, which ranks much as popularity does.
    """

    features: Sequence[Feature] = ()

    def __init__(self, blended: BlendedScores, basis: NDArray[np.float32]) -> None:
        """Takes the item vectors [items, length], with orthonormal columns."""
        super().__init__(name="history_tower")
        self._blended = blended
        self._basis = tf.Variable(basis, trainable=False, name="basis")
        self.mean_query = tf.Variable(tf.zeros(basis.shape[1]), trainable=False, name="mean_query")

    def embed(self, history: tf.Tensor, ratings: tf.Tensor, features: tf.Tensor) -> tf.Tensor:
        """float32 [batch, length]; `features` is [batch, 0], for the size of the batch."""
        scores = self._blended.scores(history, ratings, features)
        return _or_mean(tf.matmul(scores, self._basis), self.mean_query)

    def oracle(self, queries: Queries) -> NDArray[np.float32]:
        """Embeds the same in NumPy, in float64."""
        projected = self._blended.oracle(queries) @ self._basis.numpy().astype(np.float64)
        return _or_mean_oracle(projected, self.mean_query.numpy())


class IalsTower(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
    """iALS alone, for catalogues too large for EASE: query . item is its score.

    Histories that say nothing have the mean query, as in `HistoryTower`.
    """

    features: Sequence[Feature] = ()

    def __init__(self, user_step: UserStep) -> None:
        super().__init__(name="ials_tower")
        self._user_step = user_step
        length = user_step.items.shape[1]
        self.mean_query = tf.Variable(tf.zeros(length), trainable=False, name="mean_query")

    def embed(self, history: tf.Tensor, ratings: tf.Tensor, features: tf.Tensor) -> tf.Tensor:
        """float32 [batch, dimension]; `features` is [batch, 0], for the size of the batch."""
        vectors = self._user_step.vectors(history, ratings, tf.shape(features)[0])
        return _or_mean(vectors, self.mean_query)

    def oracle(self, queries: Queries) -> NDArray[np.float32]:
        """Embeds the same in NumPy, in float64."""
        return _or_mean_oracle(self._user_step.oracle(queries), self.mean_query.numpy())


def _or_mean(queries: tf.Tensor, mean_query: tf.Tensor) -> tf.Tensor:
    return tf.where(tf.reduce_any(queries != 0, axis=1, keepdims=True), queries, mean_query)


def _or_mean_oracle(
    queries: NDArray[np.float64], mean_query: NDArray[np.float32]
) -> NDArray[np.float32]:
    says_something = (queries != 0).any(axis=1, keepdims=True)
    return np.where(says_something, queries, mean_query).astype(np.float32)
