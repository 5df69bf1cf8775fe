"""Query vectors for users by what they took and who they are; no ids of users."""

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from recserve_trainer.features import Feature
from recserve_trainer.learning.padding import padding_of
from recserve_trainer.retrieval import Queries


def pool(history: tf.Tensor, vectors: tf.Tensor, batch: tf.Tensor, prior: float) -> tf.Tensor:
    """Sums each history's vectors and divides by their number and `prior` together.

    Args:
        history: int32 [n, 2], pairs (position in the batch, item row).
        vectors: float32 [items, dimension].
        batch: number of histories, empty ones included.
        prior: above 0.

    Returns:
        float32 [batch, dimension], zero for an empty history.
    """
    gathered = tf.gather(vectors, history[:, 1])
    sums = tf.math.unsorted_segment_sum(gathered, history[:, 0], batch)
    counts = tf.math.bincount(history[:, 0], minlength=batch, maxlength=batch)
    return sums / (tf.cast(counts, tf.float32) + prior)[:, None]


class PooledQueryTower(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
    """query = sum of the history's vectors / (n + prior) + features @ weights + start, and a 1.

    The prior lets a short history count less than the profile; without a history the profile is
    all, and without both the query is `start`. Ratings are not looked at. The last number is 1,
    which meets the bias in the item vector.
    """

    def __init__(
        self,
        features: tuple[Feature, ...],
        history_vectors: NDArray[np.float32],
        profile: tuple[NDArray[np.float32], NDArray[np.float32]],
        prior: float,
    ) -> None:
        """Keeps what is needed inside the graph.

        Args:
            features: encoding of the user's attributes.
            history_vectors: float32 [items, dimension], what an item adds when in a history.
            profile: `weights` [sum of the features' widths, dimension] and `start` [dimension].
            prior: above 0.
        """
        super().__init__(name="query_tower")
        self.features = features
        self._prior = prior
        self._history_vectors = tf.Variable(history_vectors, trainable=False, name="history")
        self._weights = tf.Variable(profile[0], trainable=False, name="weights")
        self._start = tf.Variable(profile[1], trainable=False, name="start")

    def embed(self, history: tf.Tensor, ratings: tf.Tensor, features: tf.Tensor) -> tf.Tensor:
        """Embeds a batch of `Queries` inside a graph: float32 [batch, dimension + 1]."""
        del ratings
        batch = tf.shape(features)[0]
        pooled = pool(history, self._history_vectors, batch, self._prior)
        queries = pooled + features @ self._weights + self._start
        return tf.concat([queries, tf.ones([batch, 1])], axis=1)

    def contributions(
        self, history: tf.Tensor, ratings: tf.Tensor, features: tf.Tensor, item_vectors: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """As `QueryTower.contributions`; the base is what profile, start and bias come to.

        What an entry adds is less the more entries there are: all share in the prior.
        """
        del ratings
        batch = tf.shape(features)[0]
        counts = tf.math.bincount(history[:, 0], minlength=batch, maxlength=batch)
        vectors, bias = item_vectors[:, :, :-1], item_vectors[:, :, -1]
        added = padding_of(history, counts).products(history[:, 1], self._history_vectors, vectors)
        shares = 1 / (tf.cast(counts, tf.float32) + self._prior)
        base = tf.linalg.matvec(vectors, self._profile(features)) + bias
        return added * tf.gather(shares, history[:, 0])[:, None], base

    def _profile(self, features: tf.Tensor) -> tf.Tensor:
        if not self._weights.shape[0]:
            # oneDNN ends the process over a product of no columns that TensorFlow has fused with
            # the sum ("could not create a primitive descriptor").
            return tf.tile(self._start[None, :], [tf.shape(features)[0], 1])
        return features @ self._weights + self._start

    def oracle(self, queries: Queries) -> NDArray[np.float32]:
        """Embeds the same in NumPy, user by user."""
        vectors = self._history_vectors.numpy()
        embedded = queries.features @ self._weights.numpy() + self._start.numpy()
        for position in np.unique(queries.history[:, 0]):
            items = queries.history[queries.history[:, 0] == position, 1]
            embedded[position] += vectors[items].sum(axis=0) / (len(items) + self._prior)
        ones = np.ones((len(embedded), 1), np.float32)
        return np.concatenate([embedded, ones], axis=1, dtype=np.float32)
