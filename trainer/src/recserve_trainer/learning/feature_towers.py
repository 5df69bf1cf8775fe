"""Towers over attributes and histories, with a vector per item id on top."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from recserve_trainer.learning.feature_rows import FeatureRows
from recserve_trainer.learning.towers import Vocabulary


class Ids(NamedTuple):
    """The ids that training knows, and in what share of the cases they are hidden from it."""

    vocabulary: Vocabulary
    row_count: int
    """Rows of the table, known or not."""
    dropout: float


class ItemVectors(NamedTuple):
    """What an item is as a candidate, and what it is in somebody's history."""

    candidates: tf.Tensor
    """float32 [n, dimension + 1], the last column the bias."""
    in_history: tf.Tensor
    """float32 [n, dimension], added to a user's vector."""


class IdVectors(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
    """A vector per id that training knows, zero for all others; dropped at random in training.

    What is dropped must be made up for by the attributes, which then also hold for rows whose id
    is new (Volkovs et al., "DropoutNet: addressing cold start in recommender systems", 2017).
    """

    def __init__(self, ids: Ids, initial: tf.Tensor) -> None:
        """Takes the ids and their first vectors, float32 [len(ids.vocabulary), m]."""
        super().__init__(name="ids")
        self._dropout, self._size = ids.dropout, len(ids.vocabulary)
        self._entries = tf.constant(ids.vocabulary.lookup(np.arange(ids.row_count, dtype=np.int32)))
        self._table = tf.Variable(initial, name="table")

    def __call__(self, rows: tf.Tensor, is_training: bool) -> tf.Tensor:
        """int32 [n] -> float32 [n, m]; a dropped id is zero in all of its columns."""
        entries = tf.gather(self._entries, rows)
        is_kept = entries < self._size
        if is_training:
            is_kept &= tf.random.uniform([tf.size(rows)]) >= self._dropout
        vectors = tf.gather(self._table, tf.minimum(entries, self._size - 1))
        return vectors * tf.cast(is_kept, tf.float32)[:, None]


class FeatureItemTower(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
    """int32 item rows -> vectors by attributes, with a vector per known id on top."""

    def __init__(self, features: FeatureRows, dimension: int, ids: Ids) -> None:
        """Takes the attributes, the length of vectors, and the ids."""
        super().__init__(name="item_tower")
        self._features, self._dimension = features, dimension
        self.feature_weights = _weights(_item_vectors(features.width, dimension))
        self._ids = IdVectors(ids, _item_vectors(len(ids.vocabulary), dimension))

    def __call__(self, rows: tf.Tensor, is_training: bool = False) -> ItemVectors:
        """Embeds distinct rows, int32 [n]."""
        vectors = self._features.times(rows, self.feature_weights) + self._ids(rows, is_training)
        return ItemVectors(*tf.split(vectors, [self._dimension + 1, self._dimension], axis=1))


class FeatureUserTower(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
    """int32 user rows and pooled histories -> vectors by both."""

    def __init__(self, features: FeatureRows, dimension: int) -> None:
        super().__init__(name="user_tower")
        self._features = features
        self.feature_weights = _weights(_normal(features.width, dimension))
        self._start = tf.Variable(_normal(1, dimension)[0], name="start")

    @property
    def profile(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What the profile adds: weights [width, dimension] and a start [dimension] for all."""
        return self.feature_weights.numpy(), self._start.numpy()

    def __call__(self, rows: tf.Tensor, pooled: tf.Tensor) -> tf.Tensor:
        """Embeds rows, int32 [n], with their histories pooled, float32 [n, dimension].

        Returns:
            float32 [n, dimension + 1], the last column 1, which meets the items' bias.
        """
        vectors = pooled + self._start + self._features.times(rows, self.feature_weights)
        return tf.concat([vectors, tf.ones_like(vectors[:, :1])], axis=1)


def _weights(initial: tf.Tensor) -> tf.Variable:
    # Several attributes of a row add up. Without any attribute there is no gradient.
    return tf.Variable(initial / 2, trainable=len(initial) > 0, name="weights")


def _item_vectors(count: int, dimension: int) -> tf.Tensor:
    """Draws both kinds of `ItemVectors` side by side; biases start at 0."""
    parts = [_normal(count, dimension), tf.zeros([count, 1]), _normal(count, dimension)]
    return tf.concat(parts, axis=1)


def _normal(count: int, dimension: int) -> tf.Tensor:
    # Scores then start with a variance of 0.3^4, whatever the dimension.
    return tf.random.normal([count, dimension], stddev=0.3 / dimension**0.5)
