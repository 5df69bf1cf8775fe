"""A user's other items, drawn anew for every training interaction."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from recserve_trainer.fit_configs import FeatureConfig
from recserve_trainer.interactions import Histories


class Drawn(NamedTuple):
    """What was drawn for a batch of interactions."""

    item_rows: tf.Tensor
    """int32 [batch, draws]."""
    weights: tf.Tensor
    """float32 [batch, draws]: summed with them, the drawn items estimate `sum / (n + prior)` over
    the n items of the user that are not the target, or over so many as the history is cut to."""


class HistoryDraws(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
    """Histories of the users, few draws at a time: memory and time do not grow with their length.

    The target never stands in its own history: a model would learn to repeat what it is given
    instead of what goes with it. Drawing is a dropout of the history at the same time (Liang et
    al., "Variational autoencoders for collaborative filtering", 2018, drop half of it).
    """

    def __init__(self, histories: Histories, config: FeatureConfig) -> None:
        """Takes the training items per user."""
        super().__init__(name="history_draws")
        self._draws, self._prior = config.history_draws, config.history_prior
        self._short_share = config.short_histories
        self._starts = tf.constant(histories.offsets[:-1])
        self._counts = tf.constant(np.diff(histories.offsets).astype(np.float32))
        self._item_rows = tf.constant(histories.item_rows)

    def draw(self, user_rows: tf.Tensor, item_rows: tf.Tensor) -> Drawn:
        """Draws with replacement for each pair of a user and an item of their history.

        Args:
            user_rows: int32 [batch].
            item_rows: int32 [batch], the targets, which are left out.
        """
        counts = tf.gather(self._counts, user_rows)[:, None]
        uniform = tf.random.uniform([tf.size(user_rows), self._draws])
        # float32 may round the product of a large count up to it.
        places = tf.cast(tf.minimum(tf.floor(uniform * counts), counts - 1), tf.int64)
        rows = tf.gather(self._item_rows, tf.gather(self._starts, user_rows)[:, None] + places)
        is_other = tf.cast(rows != item_rows[:, None], tf.float32)
        limits = self._limits(tf.size(user_rows))
        is_other *= tf.cast(tf.range(self._draws, dtype=tf.float32) < limits, tf.float32)
        lengths = tf.minimum(counts - 1, limits)
        mean = tf.math.divide_no_nan(is_other, tf.reduce_sum(is_other, axis=1, keepdims=True))
        return Drawn(rows, mean * lengths / (lengths + self._prior))

    def _limits(self, batch: tf.Tensor) -> tf.Tensor:
        """Draws how many items each history is cut to, float32 [batch, 1]; most often it is not."""
        is_short = tf.random.uniform([batch, 1]) < self._short_share
        lengths = tf.floor(tf.random.uniform([batch, 1]) * (self._draws + 1))
        return tf.where(is_short, lengths, tf.float32.max)
