"""LambdaMART: boosted trees that learn the order of candidates, served as gathers.

Burges, "From RankNet to LambdaRank to LambdaMART: an overview" (2010), by LightGBM.

Trees that have seen a user's lists know which candidates were not held out, but are wanted all the
same, and would sort them out for good. So there are several forests, and a user is ranked by the
one that learnt from other users only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import lightgbm as lgb
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from recserve_trainer.fit_configs import RankingConfig
from recserve_trainer.learning.ranking_features import FeatureTables, RankingFeatures
from recserve_trainer.learning.ranking_lists import RankingLists, user_groups
from recserve_trainer.learning.trees import Forests, forest_oracle

_FEWEST_LEAVES: Final = 50
"""No leaf has to hold more than this part of all candidates, however few there are."""


@dataclass(frozen=True, slots=True)
class FittedForests:
    """The trees, and what makes their scores and the retrieval scores comparable."""

    boosters: tuple[lgb.Booster, ...]
    """A user is ranked by number (user row mod forests)."""
    tree_scale: float
    """1 / standard deviation of the trees' scores."""
    retrieval_scale: float
    """Weight of the retrieval score / its standard deviation within a list, on the average."""


def fit_forests(lists: RankingLists, config: RankingConfig) -> FittedForests:
    """Fits a forest for each group of users, to the lists of all other groups.

    Where a group's others have no lists, one forest learns from all and ranks all.
    """
    groups = user_groups(lists, config.groups)
    boosters: list[lgb.Booster] = []
    scores = np.zeros(lists.labels.shape)
    for group in range(groups):
        is_mine = lists.user_rows % groups == group
        is_other = ~is_mine if groups > 1 else is_mine
        booster = _fit(lists.take(is_other), config, group)
        boosters.append(booster)
        scores[is_mine] = _predict(booster, lists.take(is_mine))
    deviation = float(lists.retrieval_scores.std(axis=1).mean())
    return FittedForests(
        boosters=tuple(boosters),
        tree_scale=1 / max(float(scores.std()), 1e-6),
        retrieval_scale=config.blend_weight / max(deviation, 1e-6),
    )


def _fit(lists: RankingLists, config: RankingConfig, group: int) -> lgb.Booster:
    count, length, width = lists.features.shape
    parameters: dict[str, Any] = {
        "objective": "lambdarank",
        "learning_rate": config.learning_rate,
        "num_leaves": 2**config.depth,
        "max_depth": config.depth,
        "min_data_in_leaf": max(1, min(config.leaf_rows, count * length // _FEWEST_LEAVES)),
        "feature_fraction": 0.5,
        "bagging_fraction": 0.7,
        "bagging_freq": 1,
        "lambda_l2": 10.0,
        "lambdarank_truncation_level": 20,
        "seed": config.seed + group,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": config.threads,
        "verbose": -1,
    }
    dataset = lgb.Dataset(
        lists.features.reshape(-1, width), lists.labels.ravel(), group=np.full(count, length)
    )
    return lgb.train(parameters, dataset, config.trees)


def _predict(booster: lgb.Booster, lists: RankingLists) -> NDArray[np.float64]:
    flat = lists.features.reshape(-1, lists.features.shape[2])
    predicted = booster.predict(flat, raw_score=True, num_threads=1)
    return np.asarray(predicted).reshape(lists.labels.shape)


class LambdaMartRanker(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
    """Trees plus retrieval score; a candidate's score does not depend on the others in its list."""

    def __init__(self, tables: FeatureTables, fitted: FittedForests, candidates: int) -> None:
        super().__init__(name="lambdamart")
        self.candidates = candidates
        self._tables, self._fitted = tables, fitted
        self._features = RankingFeatures(tables)
        self._forests = Forests(fitted.boosters)

    def rank(
        self, user_rows: tf.Tensor, item_rows: tf.Tensor, retrieval_scores: tf.Tensor
    ) -> tf.Tensor:
        """int32 [batch], [batch, n] and float32 [batch, n] -> float32 [batch, n]."""
        features = self._features.compute(user_rows, item_rows)
        forests = tf.repeat(user_rows % len(self._fitted.boosters), tf.shape(item_rows)[1])
        scores = self._forests.scores(tf.reshape(features, [-1, features.shape[2]]), forests)
        of_trees = tf.reshape(tf.cast(scores, tf.float32), tf.shape(item_rows))
        return of_trees * self._fitted.tree_scale + self._of_retrieval(retrieval_scores)

    def _of_retrieval(self, retrieval_scores: tf.Tensor) -> tf.Tensor:
        # -inf times a weight of 0 were no number.
        is_candidate = retrieval_scores > float("-inf")
        finite = tf.where(is_candidate, retrieval_scores, tf.zeros_like(retrieval_scores))
        return finite * self._fitted.retrieval_scale

    def oracle(
        self,
        user_rows: NDArray[np.int32],
        item_rows: NDArray[np.int32],
        retrieval_scores: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Scores the same with NumPy and LightGBM."""
        features = self._tables.compute(user_rows, item_rows)
        forests = np.repeat(user_rows % len(self._fitted.boosters), item_rows.shape[1])
        flat = features.reshape(-1, features.shape[2])
        scores = forest_oracle(self._fitted.boosters, flat, forests).reshape(item_rows.shape)
        finite = np.where(np.isfinite(retrieval_scores), retrieval_scores, 0)
        blended = scores * self._fitted.tree_scale + finite * self._fitted.retrieval_scale
        return blended.astype(np.float32)


def importances(fitted: FittedForests, names: Sequence[str]) -> dict[str, float]:
    """Returns the share of the gain of all splits that each feature has."""
    gains = np.sum([b.feature_importance("gain") for b in fitted.boosters], axis=0)
    shares = gains / max(float(gains.sum()), 1e-12)
    return dict(zip(names, shares.tolist(), strict=True))
