"""A deep and cross network that predicts ratings, beside biases and factors.

Wang et al., "DCN V2: improved deep & cross network" (2021), `tfrs.layers.dcn.Cross`; biases and
factors as in Koren, "Factorization meets the neighborhood" (2008). All parts are learnt at once and
added, so that the network has to explain only what a factor model cannot.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs
from numpy.typing import NDArray

from recserve_trainer.fit_settings import Settings

_CROSS_RANK: Final = 16
_DEEP: Final = (64, 32)


@dataclass(frozen=True, kw_only=True, slots=True)
class RatingConfig(Settings):
    """How ratings are learnt; the defaults were chosen on a part held out of `u1.base`."""

    epochs: int = 3
    """Few: from the fourth on the network learns the training ratings by heart."""
    batch_size: int = 512
    learning_rate: float = 0.003
    """Adam's first step size; it falls to a tenth by the last epoch."""
    dimension: int = 32
    """Length of the factors."""
    l2: float = 0.1
    """Weight of the squared factors that a rating uses."""
    bias_l2: float = 0.02
    """Weight of the squared biases that a rating uses."""
    dropout: float = 0.3
    """Share of the deep network's activations that a training step does without."""
    members: int = 5
    """Models from different beginnings, whose mean is the prediction."""
    seed: int = 42

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "dimension", "members"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, must be 1 or more")
        if not 0 < self.learning_rate <= 1:
            raise ValueError(f"learning_rate is {self.learning_rate}, must be above 0, at most 1")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout}, must be from 0 to below 1")
        if min(self.l2, self.bias_l2) < 0 or not 0 <= self.seed < 2**31:
            raise ValueError("l2, bias_l2 and seed must be 0 or more")


@dataclass(frozen=True, slots=True)
class RatingInputs:
    """What is known of users and items before any rating is looked at."""

    users: NDArray[np.float32]
    """[users, width]: encoded attributes, and what the user's history says."""
    items: NDArray[np.float32]
    """[items, width]"""
    known_users: NDArray[np.bool_]
    """[users]: who has ratings in training; others have no bias and no factors."""
    known_items: NDArray[np.bool_]
    mean: float
    """Of the training ratings."""


class RatingModel(tfrs.Model):  # type: ignore[misc]  # TFRS has no types
    """Mean + biases + factors + network, under `tfrs.tasks.Ranking`.

    Inputs are int32 [batch] `user` and `item` rows, and float32 [batch] `rating` in training.
    """

    def __init__(self, inputs: RatingInputs, config: RatingConfig, seed: int) -> None:
        super().__init__()
        self._config, self._mean = config, inputs.mean
        random = np.random.default_rng(seed)
        self._users = tf.constant(inputs.users)
        self._items = tf.constant(inputs.items)
        self._user_factors = self._factors(random, inputs.known_users)
        self._item_factors = self._factors(random, inputs.known_items)
        self._user_biases = tf.Variable(tf.zeros(len(inputs.users)), name="user_biases")
        self._item_biases = tf.Variable(tf.zeros(len(inputs.items)), name="item_biases")
        self._crosses = [tfrs.layers.dcn.Cross(_CROSS_RANK) for _ in range(2)]
        self._deep = tf.keras.Sequential(
            [
                layer
                for width in _DEEP
                for layer in (
                    tf.keras.layers.Dense(width, activation="relu"),
                    tf.keras.layers.Dropout(config.dropout),
                )
            ]
        )
        self._output = tf.keras.layers.Dense(1, kernel_initializer="zeros")
        self._task = tfrs.tasks.Ranking(loss=tf.keras.losses.MeanSquaredError())

    def _factors(self, random: np.random.Generator, is_known: NDArray[np.bool_]) -> tf.Variable:
        drawn = random.normal(0, 0.1, (len(is_known), self._config.dimension))
        # What training never meets stays as it is.
        return tf.Variable((drawn * is_known[:, None]).astype(np.float32))

    def call(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Predicts ratings, float32 [batch], not clipped."""
        return self._predict(inputs, training)[0]

    def _predict(self, inputs: dict[str, tf.Tensor], training: bool) -> tuple[tf.Tensor, tf.Tensor]:
        users, items = inputs["user"], inputs["item"]
        of_user, of_item = (
            tf.gather(self._user_factors, users),
            tf.gather(self._item_factors, items),
        )
        biases = [tf.gather(self._user_biases, users), tf.gather(self._item_biases, items)]
        known = [tf.gather(self._users, users), tf.gather(self._items, items)]
        first = tf.concat([of_user, of_item, of_user * of_item, *known], axis=1)
        crossed = first
        for cross in self._crosses:
            crossed = cross(first, crossed)
        together = tf.concat([crossed, self._deep(first, training=training)], axis=1)
        network = self._output(together)[:, 0]
        products = tf.reduce_sum(of_user * of_item, axis=1)
        squares = self._config.l2 * sum(
            tf.reduce_mean(tf.reduce_sum(tf.square(factors), axis=1))
            for factors in (of_user, of_item)
        )
        squares += self._config.bias_l2 * sum(tf.reduce_mean(tf.square(bias)) for bias in biases)
        return self._mean + biases[0] + biases[1] + products + network, squares

    def compute_loss(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Returns the mean squared error of a batch and the weighed squares."""
        predicted, squares = self._predict(inputs, training)
        error = self._task(inputs["rating"], predicted, compute_metrics=not training)
        return error + squares


def fit_member(
    inputs: RatingInputs,
    ratings: dict[str, NDArray[np.generic]],
    config: RatingConfig,
    member: int,
) -> RatingModel:
    """Fits one model to all ratings, `user`, `item` and `rating` of one length."""
    seed = config.seed + 1000 * member
    tf.keras.utils.set_random_seed(seed % 2**31)
    model = RatingModel(inputs, config, seed)
    count = len(ratings["rating"])
    steps = math.ceil(count / config.batch_size) * config.epochs
    rate = tf.keras.optimizers.schedules.CosineDecay(config.learning_rate, steps, alpha=0.1)
    model.compile(optimizer=tf.keras.optimizers.Adam(rate), steps_per_execution=16)
    batches = (
        tf.data.Dataset.from_tensor_slices(ratings)
        .shuffle(count, seed=seed, reshuffle_each_iteration=True)
        .batch(config.batch_size)
    )
    model.fit(batches, epochs=config.epochs, verbose=0)
    return model
