"""Item vectors for items that training never saw: by their attributes alone.

What it computes is what content and hybrid give items of the catalogue without interactions. Saved
with the index, it lets items be added to a published version: `recserve-train add-items`.
"""

from typing import Any, Self

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from recserve_trainer.features import Feature


def history_rows(
    item_vectors: NDArray[np.float32], history_weights: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Returns what items add to a query when in a history: `vectors @ A + a`.

    Args:
        item_vectors: float32 [items, dimension], without the bias.
        history_weights: float32 [dimension + 1, query dimension]: A, and below it a.

    Returns:
        float32 [items, query dimension].
    """
    rows: NDArray[np.float32] = item_vectors @ history_weights[:-1] + history_weights[-1]
    return rows


class AttributeItemTower(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
    """vector = attributes @ weights + constant, the last number of a vector being the bias."""

    def __init__(
        self,
        features: tuple[Feature, ...],
        weights: NDArray[np.float32],
        history_weights: NDArray[np.float32],
    ) -> None:
        """Keeps what is needed inside the graph, and what a query tower needs of new items.

        Args:
            features: encoding of the items' attributes.
            weights: float32 [sum of the features' widths + 1, length], the last row the constant.
            history_weights: float32 [length, query dimension]; see `history_rows`.
        """
        super().__init__(name="item_tower")
        self.features = features
        self.weights = tf.Variable(weights, trainable=False, name="weights")
        self.history_weights = tf.Variable(history_weights, trainable=False, name="history_weights")

    @classmethod
    def restored(cls, saved: Any, features: tuple[Feature, ...]) -> Self:
        """Makes it anew of what `tf.saved_model.load` gives in its place."""
        return cls(features, saved.weights.numpy(), saved.history_weights.numpy())

    def embed(self, features: tf.Tensor) -> tf.Tensor:
        """float32 [n, width], as `features.encode` makes them -> [n, length], inside a graph."""
        return features @ self.weights[:-1] + self.weights[-1]

    def oracle(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embeds the same in NumPy."""
        weights: NDArray[np.float32] = self.weights.numpy()
        vectors: NDArray[np.float32] = features @ weights[:-1] + weights[-1]
        return vectors

    def in_histories(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns what items of these vectors [n, length] add to a query: [n, query dimension]."""
        return history_rows(vectors[:, :-1], self.history_weights.numpy())
