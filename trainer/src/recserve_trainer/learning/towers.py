"""The two towers: from a row to a vector."""

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray


class Vocabulary:
    """The rows that occur in training; every other row shares one entry, the last."""

    def __init__(self, train_rows: NDArray[np.int32], row_count: int) -> None:
        """Takes the rows of the training interactions, out of `row_count`."""
        self.rows = np.unique(train_rows)
        """int32 [size]: the rows known, ascending."""
        self._entries = np.full(row_count, len(self.rows), dtype=np.int32)
        self._entries[self.rows] = np.arange(len(self.rows), dtype=np.int32)

    def __len__(self) -> int:
        return len(self.rows)

    def lookup(self, rows: NDArray[np.int32]) -> NDArray[np.int32]:
        """Returns the entry of each row, `len(self)` for a row that training did not have."""
        return self._entries[rows]


class UserTower(tf.keras.Model):  # type: ignore[misc]  # TensorFlow has no types
    """int32 [batch] user entries -> float32 [batch, dimension + 1], the last column 1.

    The constant column meets the item tower's bias in the dot product, so that a plain inner
    product index also ranks by it.
    """

    def __init__(self, vocabulary_size: int, dimension: int, *, seed: int = 0) -> None:
        super().__init__(name="user_tower")
        self._embedding = _embedding(vocabulary_size, dimension, (seed, 0))

    def call(self, user_entries: tf.Tensor) -> tf.Tensor:
        """Embeds users."""
        vectors = self._embedding(user_entries)
        return tf.concat([vectors, tf.ones_like(vectors[:, :1])], axis=1)


class ItemTower(tf.keras.Model):  # type: ignore[misc]  # TensorFlow has no types
    """int32 [batch] item entries -> float32 [batch, dimension + 1], the last column the bias."""

    def __init__(
        self, vocabulary_size: int, dimension: int, *, seed: int = 0, bias: bool = True
    ) -> None:
        """Takes `bias` False for one that stays 0."""
        super().__init__(name="item_tower")
        self._embedding = _embedding(vocabulary_size, dimension, (seed, 1))
        self._bias = tf.keras.layers.Embedding(
            vocabulary_size + 1, 1, embeddings_initializer="zeros", trainable=bias
        )

    def call(self, item_entries: tf.Tensor) -> tf.Tensor:
        """Embeds items."""
        return tf.concat([self._embedding(item_entries), self._bias(item_entries)], axis=1)


def _embedding(
    vocabulary_size: int, dimension: int, seed: tuple[int, int]
) -> tf.keras.layers.Embedding:
    # Scores then start with a variance of 0.3^4, whatever the dimension.
    deviation = 0.3 / dimension**0.5

    # Keras' own initializers draw other numbers if several workers train.
    def draw(shape: tf.TensorShape, dtype: tf.DType | None = None, **_: object) -> tf.Tensor:
        return deviation * tf.random.stateless_normal(shape, seed, dtype=dtype or tf.float32)

    return tf.keras.layers.Embedding(vocabulary_size + 1, dimension, embeddings_initializer=draw)
