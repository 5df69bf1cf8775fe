"""iALS's last half-step inside the graph: from a history to a user vector."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from recserve_trainer.fit_configs import HistoryConfig
from recserve_trainer.learning.ials import RatingScale, regularisation
from recserve_trainer.learning.padding import Padding, padding_of
from recserve_trainer.retrieval import Queries


class Systems(NamedTuple):
    """One linear system per user, A x = sum of pull times h over the entries of the history."""

    padding: Padding
    of_row: tf.Tensor
    """float32 [batch, longest, dimension]: the vectors h of the entries' items."""
    pull: tf.Tensor
    """float32 [batch, longest], 0 where there is no entry."""
    roots: tf.Tensor
    """float32 [batch, dimension, dimension]: Cholesky factors of A."""

    def vectors(self) -> tf.Tensor:
        """Solves them: x, float32 [batch, dimension]; zeros without a history."""
        targets = tf.matmul(self.of_row, self.pull[:, :, None], transpose_a=True)
        return tf.linalg.cholesky_solve(self.roots, targets)[:, :, 0]

    def contributions(self, others: tf.Tensor) -> tf.Tensor:
        """Splits x . other among the entries; A is that of all of them together.

        Args:
            others: float32 [batch, m, dimension].

        Returns:
            float32 [n, m], in the order of the history.
        """
        solved = tf.linalg.cholesky_solve(self.roots, tf.linalg.matrix_transpose(others))
        return self.padding.collect(tf.matmul(self.of_row, solved) * self.pull[:, :, None])


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

    def systems(self, history: tf.Tensor, ratings: tf.Tensor, batch: tf.Tensor) -> Systems:
        """Sets up one system per user."""
        alpha = self._config.ials_alpha
        counts = tf.math.bincount(history[:, 0], minlength=batch, maxlength=batch)
        padding = padding_of(history, counts)
        of_row = tf.gather(self.items, padding.spread(history[:, 1]))
        confidences = padding.spread(self._confidence(ratings))
        totals = tf.cast(counts, tf.float32) + alpha * self.items.shape[0]
        l2 = self._config.ials_l2 * totals**self._config.ials_l2_power
        systems = tf.matmul(of_row * confidences[:, :, None], of_row, transpose_a=True)
        systems += self._of_all + l2[:, None, None] * tf.eye(self.items.shape[1])
        pull = tf.where(confidences > 0, confidences + alpha, 0.0)
        return Systems(padding, of_row, pull, tf.linalg.cholesky(systems))

    def vectors(self, history: tf.Tensor, ratings: tf.Tensor, batch: tf.Tensor) -> tf.Tensor:
        """Solves one system per user, float32 [batch, dimension]; zeros without a history."""
        return self.systems(history, ratings, batch).vectors()

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
