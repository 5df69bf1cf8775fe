"""What the rankers have in common: their own score of a candidate, beside the retrieval score."""

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from recserve_trainer.learning.ranking_features import FeatureTables, RankingFeatures
from recserve_trainer.learning.ranking_lists import RankingLists


@dataclass(frozen=True, slots=True)
class Blend:
    """What makes a ranker's scores and the retrieval scores comparable."""

    own_scale: float
    """1 / standard deviation of the ranker's own scores."""
    retrieval_scale: float
    """Weight of the retrieval score / its standard deviation within a list, on the average."""

    @classmethod
    def of(cls, lists: RankingLists, own_scores: NDArray[np.floating], weight: float) -> "Blend":
        """Takes the deviations from the lists that were learnt from."""
        deviation = float(lists.retrieval_scores.std(axis=1).mean())
        return cls(1 / max(float(own_scores.std()), 1e-6), weight / max(deviation, 1e-6))


class BlendedRanker(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
    """Own score plus retrieval score; a candidate's score does not depend on the others.

    Users are ranked by one of several models: by number (user row mod models).
    """

    def __init__(self, tables: FeatureTables, blend: Blend, models: int, candidates: int) -> None:
        super().__init__(name="ranker")
        self.candidates = candidates
        self._tables, self._blend, self._models = tables, blend, models
        self._features = RankingFeatures(tables)

    @abstractmethod
    def own_scores(self, features: tf.Tensor, models: tf.Tensor) -> tf.Tensor:
        """Scores float32 [n, features] by the models int32 [n] inside a graph: float32 [n]."""

    @abstractmethod
    def own_oracle(
        self, features: NDArray[np.float32], models: NDArray[np.int32]
    ) -> NDArray[np.float64]:
        """Scores the same by another way."""

    def rank(
        self, user_rows: tf.Tensor, item_rows: tf.Tensor, retrieval_scores: tf.Tensor
    ) -> tf.Tensor:
        """int32 [batch], [batch, n] and float32 [batch, n] -> float32 [batch, n]."""
        features = self._features.compute(user_rows, item_rows)
        models = tf.repeat(user_rows % self._models, tf.shape(item_rows)[1])
        own = self.own_scores(tf.reshape(features, [-1, features.shape[2]]), models)
        # -inf times a weight of 0 were no number.
        is_candidate = retrieval_scores > float("-inf")
        finite = tf.where(is_candidate, retrieval_scores, tf.zeros_like(retrieval_scores))
        blended = tf.reshape(own, tf.shape(item_rows)) * self._blend.own_scale
        return blended + finite * self._blend.retrieval_scale

    def oracle(
        self,
        user_rows: NDArray[np.int32],
        item_rows: NDArray[np.int32],
        retrieval_scores: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Scores the same without TensorFlow."""
        features = self._tables.compute(user_rows, item_rows)
        models = np.repeat(user_rows % self._models, item_rows.shape[1])
        own = self.own_oracle(features.reshape(-1, features.shape[2]), models)
        finite = np.where(np.isfinite(retrieval_scores), retrieval_scores, 0)
        blended = own.reshape(item_rows.shape) * self._blend.own_scale
        return (blended + finite * self._blend.retrieval_scale).astype(np.float32)
