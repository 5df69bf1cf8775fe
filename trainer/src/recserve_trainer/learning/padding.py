"""Histories of any length side by side: where each entry stands when all are padded."""

from typing import NamedTuple

import tensorflow as tf


class Padding(NamedTuple):
    """From entries, in any order, to a table of one row per history, and back."""

    places: tf.Tensor
    """int32 [n, 2]: of each entry the row and the column."""
    shape: tf.Tensor
    """int32 [2]: number of histories, and the length of the longest."""

    def spread(self, values: tf.Tensor) -> tf.Tensor:
        """[n] -> [batch, longest], 0 where there is no entry."""
        return tf.scatter_nd(self.places, values, self.shape)

    def products(self, item_rows: tf.Tensor, table: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
        """Multiplies the vectors of entries with others that stand at the same position.

        Args:
            item_rows: int32 [n], of the entries.
            table: float32 [items, length].
            others: float32 [batch, m, length].

        Returns:
            Inner products, float32 [n, m].
        """
        vectors = tf.gather(table, self.spread(item_rows))
        return self.collect(tf.matmul(vectors, others, transpose_b=True))

    def collect(self, table: tf.Tensor) -> tf.Tensor:
        """[batch, longest, m] -> [n, m], in the order of the entries."""
        longest = self.shape[1]
        rows = tf.reshape(table, [self.shape[0] * longest, tf.shape(table)[2]])
        # Other than `gather_nd`, this takes an m of 0.
        return tf.gather(rows, self.places[:, 0] * longest + self.places[:, 1])


def padding_of(history: tf.Tensor, counts: tf.Tensor) -> Padding:
    """Gives every entry a place.

    Args:
        history: int32 [n, 2], pairs (position in the batch, item row).
        counts: int32 [batch], entries of each position.
    """
    order = tf.argsort(history[:, 0], stable=True)
    positions = tf.gather(history[:, 0], order)
    starts = tf.cumsum(counts, exclusive=True)
    columns = tf.range(tf.shape(order)[0]) - tf.gather(starts, positions)
    columns = tf.scatter_nd(order[:, None], columns, tf.shape(order))
    # The maximum of no counts at all is the lowest integer.
    shape = tf.stack([tf.shape(counts)[0], tf.maximum(tf.reduce_max(counts), 0)])
    return Padding(tf.stack([history[:, 0], columns], axis=1), shape)
