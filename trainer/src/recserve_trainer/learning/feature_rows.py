"""The attributes of every row of a table, encoded and kept sparse, for towers to look up."""

import numpy as np
import pyarrow as pa
import tensorflow as tf
from numpy.typing import NDArray

from recserve_trainer.features import Feature, encode_in_pieces, fit_features
from recserve_trainer.tables import Column, ItemTable


def item_columns(items: ItemTable) -> dict[str, Column]:
    """Returns the columns of the item table and, as one more, the words of the titles."""
    return {"title": Column("text", pa.array(items.titles, pa.string())), **items.columns}


class FeatureRows(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
    """float32 [rows, width], of which only what is not zero is stored."""

    def __init__(
        self, columns: dict[str, Column], train_rows: NDArray[np.int32], row_count: int
    ) -> None:
        """Fits the encoding on the rows that occur in training and applies it to all of them.

        Args:
            columns: attributes of the table, `row_count` values each.
            train_rows: int32, rows of the table in any order, each any number of times.
            row_count: rows of the table.
        """
        super().__init__(name="feature_rows")
        self.features: tuple[Feature, ...] = fit_features(columns, np.unique(train_rows))
        self.width = sum(feature.width for feature in self.features)
        """Columns of the encoding; 0 if there is nothing to encode."""
        counts, places, values = [np.zeros(1, np.int64)], [], []
        for piece, encoded in encode_in_pieces(self.features, columns, row_count):
            rows, columns_of_rows = np.nonzero(encoded)
            counts.append(np.bincount(rows, minlength=piece.stop - piece.start))
            places.append(columns_of_rows)
            values.append(encoded[rows, columns_of_rows])
        splits = np.cumsum(np.concatenate(counts))
        self._places = tf.RaggedTensor.from_row_splits(np.concatenate(places), splits)
        self._values = tf.RaggedTensor.from_row_splits(np.concatenate(values), splits)

    def times(self, rows: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Returns the rows asked for, int32 [n], times a matrix [width, m]: float32 [n, m]."""
        if not self.width:
            return tf.zeros([tf.size(rows), tf.shape(weights)[1]])
        places = tf.gather(self._places, rows)
        indices = tf.stack([places.value_rowids(), places.values], axis=1)
        shape = tf.stack([tf.size(rows, tf.int64), self.width])
        matrix = tf.SparseTensor(indices, tf.gather(self._values, rows).values, shape)
        return tf.sparse.sparse_dense_matmul(matrix, weights)
