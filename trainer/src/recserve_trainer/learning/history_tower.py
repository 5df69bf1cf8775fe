"""From a history to a query inside the graph: what the history family saves with the index.

Nothing here is learnt; the towers hold what EASE and iALS were fitted to and repeat their last step
for a history that may be anybody's. A user id is not needed.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from recserve_trainer.features import Feature
from recserve_trainer.learning.user_step import Systems, UserStep
from recserve_trainer.retrieval import Queries

_FLAT: Final = 1e-6
"""Scores stand for 0 or 1; where they spread less than this they differ by rounding alone."""


class Parts(NamedTuple):
    """Scores of the catalogue before they are standardised and added."""

    of_ease: tf.Tensor
    """float32 [batch, items]."""
    of_ials: tf.Tensor
    """float32 [batch, items]."""
    systems: Systems
    """What iALS solved for them."""


class Onto(NamedTuple):
    """What an inner product of scores and the columns of a basis comes to, score by score."""

    entries: Any
    """float32 [items, length]: of an item's row in EASE."""
    vectors: Any
    """float32 [dimension, length]: of what a unit of each number of an iALS vector scores."""


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
        return self.blended(self.parts(history, ratings, features))

    def parts(self, history: tf.Tensor, ratings: tf.Tensor, features: tf.Tensor) -> Parts:
        """Scores by each of both; arguments as of `scores`."""
        batch = tf.shape(features)[0]
        item_count = tf.constant(self._item_item.shape[0], tf.int64)
        taken = tf.SparseTensor(
            tf.cast(history, tf.int64),
            tf.ones_like(history[:, 0], tf.float32),
            tf.stack([tf.cast(batch, tf.int64), item_count]),
        )
        of_ease = tf.sparse.sparse_dense_matmul(taken, self._item_item)
        systems = self._user_step.systems(history, ratings, batch)
        of_ials = tf.matmul(systems.vectors(), self._user_step.items, transpose_b=True)
        return Parts(of_ease, of_ials, systems)

    def blended(self, parts: Parts) -> tf.Tensor:
        """Returns what `scores` does."""
        return _standardised(parts.of_ease) + self._blend * _standardised(parts.of_ials)

    def onto(self, basis: NDArray[np.float32]) -> Onto:
        """Takes vectors [items, length]; see `Onto`."""
        # Standardising takes the mean over all items away.
        centred = basis - basis.mean(axis=0, dtype=np.float64).astype(np.float32)
        return Onto(self._item_item.numpy() @ centred, self._user_step.items.numpy().T @ centred)

    def contributions(
        self, parts: Parts, onto: Onto, history: tf.Tensor, others: tf.Tensor
    ) -> tf.Tensor:
        """Splits query . other among the entries, the query being the blended scores on a basis.

        Scores and their means are sums over the entries; a deviation is that of all of them
        together. So nothing is left over.

        Args:
            parts: of the batch.
            onto: of the basis.
            history: int32 [n, 2], pairs (position in the batch, item row).
            others: float32 [batch, m, length].

        Returns:
            float32 [n, m].
        """
        by_ease = parts.systems.padding.products(history[:, 1], onto.entries, others)
        by_ials = parts.systems.contributions(tf.matmul(others, onto.vectors, transpose_b=True))
        _, per_ease = _spread(parts.of_ease)
        _, per_ials = _spread(parts.of_ials)
        of_entry = history[:, 0]
        return by_ease * tf.gather(per_ease, of_entry) + by_ials * tf.gather(
            self._blend * per_ials, of_entry
        )

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
    mean, per_deviation = _spread(scores)
    return (scores - mean) * per_deviation


def _spread(scores: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns mean and 1 / deviation of each row, both [batch, 1]; 0 for the latter if flat."""
    mean, variance = tf.nn.moments(scores, axes=[1], keepdims=True)
    return mean, tf.where(variance > _FLAT**2, tf.math.rsqrt(variance), 0.0)


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
        entries, vectors = blended.onto(basis)
        self._entries = tf.Variable(entries, trainable=False, name="ease_on_basis")
        self._vectors = tf.Variable(vectors, trainable=False, name="ials_on_basis")
        self.mean_query = tf.Variable(tf.zeros(basis.shape[1]), trainable=False, name="mean_query")

    def embed(self, history: tf.Tensor, ratings: tf.Tensor, features: tf.Tensor) -> tf.Tensor:
        """float32 [batch, length]; `features` is [batch, 0], for the size of the batch."""
        scores = self._blended.scores(history, ratings, features)
        return _or_mean(tf.matmul(scores, self._basis), self.mean_query)

    def contributions(
        self, history: tf.Tensor, ratings: tf.Tensor, features: tf.Tensor, item_vectors: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """As `QueryTower.contributions`; the base is 0, or all where a history says nothing."""
        parts = self._blended.parts(history, ratings, features)
        onto = Onto(self._entries, self._vectors)
        added = self._blended.contributions(parts, onto, history, item_vectors)
        queries = tf.matmul(self._blended.blended(parts), self._basis)
        says_something = tf.reduce_any(queries != 0, axis=1, keepdims=True)
        of_mean = tf.tensordot(item_vectors, self.mean_query, 1)
        return _added_or_mean(history, says_something, added, of_mean)

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

    def contributions(
        self, history: tf.Tensor, ratings: tf.Tensor, features: tf.Tensor, item_vectors: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """As `QueryTower.contributions`; the base is 0, or all where a history says nothing."""
        systems = self._user_step.systems(history, ratings, tf.shape(features)[0])
        added = systems.contributions(item_vectors)
        says_something = tf.reduce_any(systems.vectors() != 0, axis=1, keepdims=True)
        of_mean = tf.tensordot(item_vectors, self.mean_query, 1)
        return _added_or_mean(history, says_something, added, of_mean)

    def oracle(self, queries: Queries) -> NDArray[np.float32]:
        """Embeds the same in NumPy, in float64."""
        return _or_mean_oracle(self._user_step.oracle(queries), self.mean_query.numpy())


def _or_mean(queries: tf.Tensor, mean_query: tf.Tensor) -> tf.Tensor:
    return tf.where(tf.reduce_any(queries != 0, axis=1, keepdims=True), queries, mean_query)


def _added_or_mean(
    history: tf.Tensor, says_something: tf.Tensor, added: tf.Tensor, of_mean: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns contributions and base where the mean query stands in for what says nothing."""
    added = tf.where(tf.gather(says_something, history[:, 0]), added, 0.0)
    return added, tf.where(says_something, 0.0, of_mean)


def _or_mean_oracle(
    queries: NDArray[np.float64], mean_query: NDArray[np.float32]
) -> NDArray[np.float32]:
    says_something = (queries != 0).any(axis=1, keepdims=True)
    return np.where(says_something, queries, mean_query).astype(np.float32)
