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
from recserve_trainer.learning.blended_ranker import Blend, BlendedRanker
from recserve_trainer.learning.ranking_features import FeatureTables
from recserve_trainer.learning.ranking_lists import RankingLists, cross_fits
from recserve_trainer.learning.trees import Forests, forest_oracle

_FEWEST_LEAVES: Final = 50
"""No leaf has to hold more than this part of all candidates, however few there are."""


@dataclass(frozen=True, slots=True)
class FittedForests:
    """The trees, and what they weigh beside the retrieval score."""

    boosters: tuple[lgb.Booster, ...]
    """A user is ranked by number (user row mod forests)."""
    blend: Blend


def fit_forests(lists: RankingLists, config: RankingConfig) -> FittedForests:
    """Fits a forest for each group of users, to the lists of all other groups.

    Where a group's others have no lists, one forest learns from all and ranks all.
    """
    boosters: list[lgb.Booster] = []
    scores = np.zeros(lists.labels.shape)
    for is_learnt, is_mine in cross_fits(lists, config.groups):
        booster = _fit(lists.take(is_learnt), config, len(boosters))
        boosters.append(booster)
        scores[is_mine] = _predict(booster, lists.take(is_mine))
    return FittedForests(tuple(boosters), Blend.of(lists, scores, config.blend_weight))


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


class LambdaMartRanker(BlendedRanker):
    """Trees plus retrieval score."""

    def __init__(self, tables: FeatureTables, fitted: FittedForests, candidates: int) -> None:
        super().__init__(tables, fitted.blend, len(fitted.boosters), candidates)
        self._boosters, self._forests = fitted.boosters, Forests(fitted.boosters)

    def own_scores(self, features: tf.Tensor, models: tf.Tensor) -> tf.Tensor:
        """Sums the leaves of the forests `models`."""
        return tf.cast(self._forests.scores(features, models), tf.float32)

    def own_oracle(
        self, features: NDArray[np.float32], models: NDArray[np.int32]
    ) -> NDArray[np.float64]:
        """Asks LightGBM."""
        return forest_oracle(self._boosters, features, models)


def importances(fitted: FittedForests, names: Sequence[str]) -> dict[str, float]:
    """Returns the share of the gain of all splits that each feature has."""
    gains = np.sum([b.feature_importance("gain") for b in fitted.boosters], axis=0)
    shares = gains / max(float(gains.sum()), 1e-12)
    return dict(zip(names, shares.tolist(), strict=True))
