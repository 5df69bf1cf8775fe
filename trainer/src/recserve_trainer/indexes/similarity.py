"""How alike two items are: the correlation of the scores that all training users give them."""

from typing import Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from recserve_trainer.indexes.top_items import only_eligible, top_items
from recserve_trainer.retrieval import Embeddings

_ROWS_AT_ONCE: Final = 65_536
"""In float64, 32 MiB at 64 dimensions."""
_LEAST_VARIANCE: Final = 1e-12
"""Of the users' mean squared length; where vectors vary less they differ by rounding alone."""
_LEAST_LENGTH: Final = 1e-4
"""Of an item's own; where the root leaves less, float32 would leave three digits of it or fewer."""
_LEAST: Final = float(np.finfo(np.float32).tiny)


class Similarity(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
    """The cosine of C^1/2 v, v being items' vectors and C the covariance of the users' vectors.

    That is the correlation of the scores u.v and u.v' over all users u. What is the same for all
    users, such as an item's bias, does not count. An item whose score is the same for everybody is
    similar to none: 0. Where all users are alike, as in the popularity family or with a single
    user, that holds for every item.

    No second table of vectors is kept: the root of C is multiplied with what is searched for.
    """

    def __init__(self, embeddings: Embeddings, items: tf.Variable) -> None:
        """Learns from all users.

        Args:
            embeddings: finite vectors.
            items: `embeddings.items` as the index holds them.
        """
        super().__init__(name="similarity")
        root = covariance_root(embeddings.users)
        self._items = items
        self._root = tf.Variable(root, trainable=False, dtype=tf.float32, name="root")
        shares = per_length(embeddings.items, root)
        self._per_length = tf.Variable(shares, trainable=False, name="per_length")

    def embed(self, item_rows: tf.Tensor) -> tf.Tensor:
        """int32 [n] -> float32 [n, length]: unit vectors, zeros where nothing is similar."""
        vectors = tf.matmul(tf.gather(self._items, item_rows), self._root)
        return vectors * tf.gather(self._per_length, item_rows)[:, None]

    def search(
        self,
        query_embeddings: tf.Tensor,
        k: tf.Tensor,
        excluded: tf.Tensor,
        mask_of: tf.Tensor,
        masks: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """Ranks the catalogue exactly; as `ExactIndex.search_eligible`, for vectors of `embed`."""
        turned = tf.matmul(query_embeddings, self._root)
        scores = tf.matmul(turned, self._items, transpose_b=True) * self._per_length
        return top_items(only_eligible(scores, mask_of, masks), k, excluded)


def covariance_root(users: NDArray[np.float32]) -> NDArray[np.float64]:
    """Returns the symmetric root of the users' covariance over its norm, [length, length].

    Zeros if all users are alike.
    """
    mean = users.mean(axis=0, dtype=np.float64)
    covariance = np.zeros((users.shape[1], users.shape[1]))
    for start in range(0, len(users), _ROWS_AT_ONCE):
        centred = users[start : start + _ROWS_AT_ONCE] - mean
        covariance += centred.T @ centred / len(users)
    variances, directions = np.linalg.eigh(covariance)
    mean_square = np.einsum("ij,ij->", users, users, dtype=np.float64) / len(users)
    variances = np.where(variances > _LEAST_VARIANCE * mean_square, variances, 0)
    # Similarity is the same at any length of the root, and no number is then too small for float32.
    shares = variances / variances.max() if variances.any() else variances
    root: NDArray[np.float64] = (directions * np.sqrt(shares)) @ directions.T
    return root


def per_length(items: NDArray[np.float32], root: NDArray[np.float64]) -> NDArray[np.float32]:
    """Returns 1 / |root v| of every item, float32 [items]; 0 for what has no length."""
    shares = np.zeros(len(items), np.float32)
    for start in range(0, len(items), _ROWS_AT_ONCE):
        chunk = items[start : start + _ROWS_AT_ONCE].astype(np.float64)
        lengths = np.linalg.norm(chunk @ root, axis=1)
        least = np.maximum(_LEAST_LENGTH * np.linalg.norm(chunk, axis=1), _LEAST)
        rows = np.flatnonzero(lengths > least)
        shares[start + rows] = 1 / lengths[rows]
    return shares
