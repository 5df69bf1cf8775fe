"""The same list for everybody: items by their training interactions. Baseline and fallback."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from recserve_trainer.evaluation.baselines import item_counts
from recserve_trainer.evaluation.split import Split
from recserve_trainer.features import Feature
from recserve_trainer.fit_configs import PopularityConfig
from recserve_trainer.interactions import Dataset
from recserve_trainer.retrieval import Embeddings, Queries, RetrievalModel, Stages


class PopularityTower(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
    """Takes whatever a request brings, and answers with the one query there is."""

    features: Sequence[Feature] = ()

    def embed(self, history: tf.Tensor, ratings: tf.Tensor, features: tf.Tensor) -> tf.Tensor:
        """Returns float32 [batch, 2], ones."""
        return tf.ones([tf.shape(features)[0], 2])

    def contributions(
        self, history: tf.Tensor, ratings: tf.Tensor, features: tf.Tensor, item_vectors: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """As `QueryTower.contributions`: entries add nothing, the base is all."""
        added = tf.zeros([tf.shape(history)[0], tf.shape(item_vectors)[1]])
        return added, tf.reduce_sum(item_vectors, axis=2)

    def oracle(self, queries: Queries) -> NDArray[np.float32]:
        """Returns the same."""
        return np.ones((len(queries.features), 2), np.float32)


class PopularityTraining:
    """Counts."""

    def __init__(self, dataset: Dataset, split: Split, config: PopularityConfig) -> None:
        self._users, self._items = len(dataset.users), len(dataset.items)
        self._train = split.train

    def run_epoch(self) -> dict[str, float]:
        """Has nothing to learn."""
        return {}

    def model(self) -> RetrievalModel:
        """Returns vectors whose inner product is the count: (count, 0) and (1, 1)."""
        items = np.zeros((self._items, 2), np.float32)
        items[:, 0] = item_counts(self._train, self._items)
        users = np.ones((self._users, 2), np.float32)
        return RetrievalModel(Embeddings(users, items), Stages(query_tower=PopularityTower()))
