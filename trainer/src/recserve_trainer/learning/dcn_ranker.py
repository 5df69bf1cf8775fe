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
from recserve_trainer.learning.ranking_features import FeatureTables, RankingFeatures
from recserve_trainer.learning.ranking_lists import RankingLists, user_groups

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
    """The networks, and what makes their scores and the retrieval scores comparable."""

    mean: NDArray[np.float32]
    """[features]"""
    deviation: NDArray[np.float32]
    """[features]"""
    weights: tuple[dict[str, NDArray[np.float32]], ...]
    """By name, see `network`; a user is ranked by number (user row mod networks)."""
    network_scale: float
    """1 / standard deviation of the networks' scores."""
    retrieval_scale: float
    """Weight of the retrieval score / its standard deviation within a list, on the average."""


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
    groups = user_groups(lists, config.groups)
    fitted: list[dict[str, NDArray[np.float32]]] = []
    scores = np.zeros(lists.labels.shape)
    for group in range(groups):
        is_mine = lists.user_rows % groups == group
        is_other = ~is_mine if groups > 1 else is_mine
        weights = _fit(first[is_other], lists.labels[is_other], config.seed + group)
        fitted.append(weights)
        mine = first[is_mine].reshape(-1, width).astype(np.float64)
        scores[is_mine] = network_oracle(mine, weights).reshape(-1, length)
    spread = float(lists.retrieval_scores.std(axis=1).mean())
    return FittedNetworks(
        mean=mean.astype(np.float32),
        deviation=deviation.astype(np.float32),
        weights=tuple(fitted),
        network_scale=1 / max(float(scores.std()), 1e-6),
        retrieval_scale=config.blend_weight / max(spread, 1e-6),
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


class DcnRanker(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
    """Network plus retrieval score; a candidate's score does not depend on the others."""

    def __init__(self, tables: FeatureTables, fitted: FittedNetworks, candidates: int) -> None:
        super().__init__(name="dcn_ranker")
        self.candidates = candidates
        self._tables, self._fitted = tables, fitted
        self._features = RankingFeatures(tables)
        self._weights = [
            {name: tf.Variable(values, trainable=False) for name, values in weights.items()}
            for weights in fitted.weights
        ]

    def rank(
        self, user_rows: tf.Tensor, item_rows: tf.Tensor, retrieval_scores: tf.Tensor
    ) -> tf.Tensor:
        """int32 [batch], [batch, n] and float32 [batch, n] -> float32 [batch, n]."""
        features = self._features.compute(user_rows, item_rows)
        first = (features - self._fitted.mean) / self._fitted.deviation
        flat = tf.reshape(
            tf.clip_by_value(first, -_LARGEST, _LARGEST), [-1, len(self._fitted.mean)]
        )
        # A few networks this small cost less than to part the batch among them.
        scores = tf.stack([network(flat, weights) for weights in self._weights], axis=1)
        asked = tf.repeat(user_rows % len(self._weights), tf.shape(item_rows)[1])
        of_network = tf.reshape(tf.gather(scores, asked, batch_dims=1), tf.shape(item_rows))
        is_candidate = retrieval_scores > float("-inf")
        finite = tf.where(is_candidate, retrieval_scores, tf.zeros_like(retrieval_scores))
        return of_network * self._fitted.network_scale + finite * self._fitted.retrieval_scale

    def oracle(
        self,
        user_rows: NDArray[np.int32],
        item_rows: NDArray[np.int32],
        retrieval_scores: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Scores the same in NumPy, one user at a time."""
        fitted = self._fitted
        features = self._tables.compute(user_rows, item_rows).astype(np.float64)
        first = np.clip((features - fitted.mean) / fitted.deviation, -_LARGEST, _LARGEST)
        scores = [
            network_oracle(rows, fitted.weights[user % len(fitted.weights)])
            for user, rows in zip(user_rows, first, strict=True)
        ]
        finite = np.where(np.isfinite(retrieval_scores), retrieval_scores, 0)
        of_networks = np.array(scores).reshape(item_rows.shape) * fitted.network_scale
        return (of_networks + finite * fitted.retrieval_scale).astype(np.float32)
