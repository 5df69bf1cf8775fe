"""A deep and cross network as second stage: the same features and lists as LambdaMART's trees.

Wang et al., "DCN V2: improved deep & cross network" (2021). It learns by a softmax over each list
(Cao et al., "Learning to rank: from pairwise approach to listwise approach", 2007, top one). As
with the trees, a user is ranked by the network that learnt from the lists of other users.
"""

import functools
from dataclasses import dataclass
from typing import Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from recserve_trainer.fit_configs import RankingConfig
from recserve_trainer.learning.blended_ranker import Blend, BlendedRanker
from recserve_trainer.learning.ranking_features import FeatureTables
from recserve_trainer.learning.ranking_lists import RankingLists, cross_fits

_DEEP: Final = 32
_CROSSES: Final = 2
_LARGEST: Final = 4.0
"""Features are clipped to so many deviations."""
_LISTS_PER_STEP: Final = 64
_EPOCHS: Final = 8
_LEARNING_RATE: Final = 0.002
_WEIGHT_DECAY: Final = 1e-3
_OUTPUT: Final = "output"


@dataclass(frozen=True, slots=True)
class FittedNetworks:
    """The networks, and what they weigh beside the retrieval score."""

    mean: NDArray[np.float32]
    """[features]"""
    deviation: NDArray[np.float32]
    """[features]"""
    weights: tuple[dict[str, NDArray[np.float32]], ...]
    """By name, see `network`; a user is ranked by number (user row mod networks)."""
    blend: Blend


def network(first: tf.Tensor, weights: dict[str, tf.Tensor]) -> tf.Tensor:
    """Scores rows of standardised features, float32 [n, width] -> [n].

    Two cross layers, x' = x0 * (W x + b) + x, beside one deep layer; both go into the output.
    """
    crossed = first
    for place in range(_CROSSES):
        inner = tf.matmul(crossed, weights[f"cross_{place}"]) + weights[f"cross_bias_{place}"]
        crossed = first * inner + crossed
    deep = tf.nn.relu(tf.matmul(first, weights["deep"]) + weights["deep_bias"])
    return tf.linalg.matvec(tf.concat([crossed, deep], axis=1), weights[_OUTPUT])


def network_oracle(
    first: NDArray[np.float64], weights: dict[str, NDArray[np.float32]]
) -> NDArray[np.float64]:
    """Computes `network` in NumPy, in float64."""
    wide = {name: values.astype(np.float64) for name, values in weights.items()}
    crossed = first
    for place in range(_CROSSES):
        crossed = crossed + first * (crossed @ wide[f"cross_{place}"] + wide[f"cross_bias_{place}"])
    deep = np.maximum(first @ wide["deep"] + wide["deep_bias"], 0)
    scores: NDArray[np.float64] = np.concatenate([crossed, deep], axis=1) @ wide[_OUTPUT]
    return scores


def fit_networks(lists: RankingLists, config: RankingConfig) -> FittedNetworks:
    """Fits a network for each group of users, to the lists of all other groups."""
    length, width = lists.features.shape[1:]
    flat = lists.features.reshape(-1, width).astype(np.float64)
    mean, deviation = flat.mean(axis=0), np.maximum(flat.std(axis=0), 1e-6)
    first = np.clip((lists.features - mean) / deviation, -_LARGEST, _LARGEST).astype(np.float32)
    fitted: list[dict[str, NDArray[np.float32]]] = []
    scores = np.zeros(lists.labels.shape)
    for is_learnt, is_mine in cross_fits(lists, config.groups):
        weights = _fit(first[is_learnt], lists.labels[is_learnt], config.seed + len(fitted))
        fitted.append(weights)
        mine = first[is_mine].reshape(-1, width).astype(np.float64)
        scores[is_mine] = network_oracle(mine, weights).reshape(-1, length)
    return FittedNetworks(
        mean=mean.astype(np.float32),
        deviation=deviation.astype(np.float32),
        weights=tuple(fitted),
        blend=Blend.of(lists, scores, config.blend_weight),
    )


def _initial(width: int, seed: int) -> dict[str, tf.Variable]:
    random = np.random.default_rng(seed)
    drawn: dict[str, NDArray[np.float64]] = {}
    for place in range(_CROSSES):
        drawn[f"cross_{place}"] = random.normal(0, 0.1 / np.sqrt(width), (width, width))
        drawn[f"cross_bias_{place}"] = np.zeros(width)
    drawn["deep"] = random.normal(0, np.sqrt(2 / width), (width, _DEEP))
    drawn["deep_bias"] = np.zeros(_DEEP)
    drawn[_OUTPUT] = np.zeros(width + _DEEP)
    return {name: tf.Variable(values.astype(np.float32)) for name, values in drawn.items()}


def _fit(
    first: NDArray[np.float32], labels: NDArray[np.int8], seed: int
) -> dict[str, NDArray[np.float32]]:
    count = len(first)
    weights = _initial(int(first.shape[-1]), seed)
    optimizer = tf.keras.optimizers.Adam(_LEARNING_RATE)
    optimizer.build(list(weights.values()))
    step = tf.function(functools.partial(_step, optimizer, weights), reduce_retracing=True)
    # A list with many wanted items says no more than one with a single one.
    shares = labels.astype(np.float32) / labels.sum(axis=1, keepdims=True, dtype=np.float32)
    random = np.random.default_rng(seed)
    for _ in range(_EPOCHS):
        order = random.permutation(count)
        for start in range(0, count, _LISTS_PER_STEP):
            batch = order[start : start + _LISTS_PER_STEP]
            step(tf.constant(first[batch]), tf.constant(shares[batch]))
    return {name: variable.numpy() for name, variable in weights.items()}


def _step(
    optimizer: tf.keras.optimizers.Optimizer,
    weights: dict[str, tf.Variable],
    features: tf.Tensor,
    shares: tf.Tensor,
) -> None:
    """Takes one step on lists, float32 [lists, n, width] and [lists, n], which sums to 1."""
    variables = list(weights.values())
    with tf.GradientTape() as tape:
        scores = network(tf.reshape(features, [-1, features.shape[2]]), weights)
        logits = tf.reshape(scores, tf.shape(shares))
        losses = tf.nn.softmax_cross_entropy_with_logits(shares, logits)
        squares = tf.add_n([tf.reduce_sum(tf.square(each)) for each in variables])
        loss = tf.reduce_mean(losses) + _WEIGHT_DECAY * squares
    optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))


class DcnRanker(BlendedRanker):
    """Network plus retrieval score."""

    def __init__(self, tables: FeatureTables, fitted: FittedNetworks, candidates: int) -> None:
        super().__init__(tables, fitted.blend, len(fitted.weights), candidates)
        self._fitted = fitted
        self._weights = [
            {name: tf.Variable(values, trainable=False) for name, values in weights.items()}
            for weights in fitted.weights
        ]

    def own_scores(self, features: tf.Tensor, models: tf.Tensor) -> tf.Tensor:
        """Runs all networks, and takes what `models` of each said."""
        first = (features - self._fitted.mean) / self._fitted.deviation
        first = tf.clip_by_value(first, -_LARGEST, _LARGEST)
        # A few networks this small cost less than to part the batch among them.
        scores = tf.stack([network(first, weights) for weights in self._weights], axis=1)
        return tf.gather(scores, models, batch_dims=1)

    def own_oracle(
        self, features: NDArray[np.float32], models: NDArray[np.int32]
    ) -> NDArray[np.float64]:
        """Runs each network in NumPy, in float64, on what it is asked for."""
        fitted = self._fitted
        standard = (features.astype(np.float64) - fitted.mean) / fitted.deviation
        first = np.clip(standard, -_LARGEST, _LARGEST)
        scores = np.zeros(len(features))
        for model, weights in enumerate(fitted.weights):
            asked = models == model
            scores[asked] = network_oracle(first[asked], weights)
        return scores
