"""The two-tower model over attributes, histories and item ids that learns them all at once.

Loss: as of the collaborative family, softmax over the items of a batch, corrected for how often an
item turns up as a negative (Yi et al., "Sampling-bias-corrected neural modeling for large corpus
item recommendations", 2019).
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs
from numpy.typing import NDArray

from recserve_trainer.evaluation.baselines import item_counts
from recserve_trainer.evaluation.split import Split
from recserve_trainer.fit_configs import FeatureConfig
from recserve_trainer.interactions import Dataset, Histories, Interactions
from recserve_trainer.learning.feature_rows import FeatureRows, item_columns
from recserve_trainer.learning.feature_towers import (
    FeatureItemTower,
    FeatureUserTower,
    Ids,
)
from recserve_trainer.learning.history_draws import HistoryDraws
from recserve_trainer.learning.pooled_query import PooledQueryTower, pool
from recserve_trainer.retrieval import Embeddings, RetrievalModel, Stages

_STEPS_PER_EXECUTION = 16
_ROWS_AT_ONCE = 8192


class Towers(NamedTuple):
    """Both towers of one model."""

    users: FeatureUserTower
    items: FeatureItemTower


class FeatureModel(tfrs.Model):  # type: ignore[misc]  # TFRS has no types
    """Two towers under `tfrs.tasks.Retrieval`; inputs are int32 [batch] rows `user` and `item`."""

    def __init__(
        self,
        towers: Towers,
        draws: HistoryDraws,
        sampling: NDArray[np.float32],
        config: FeatureConfig,
    ) -> None:
        """Takes beside the towers each item's share of the training interactions, [items]."""
        super().__init__()
        self.towers, self._draws = towers, draws
        self._sampling = tf.constant(sampling)
        self._l2, self._feature_l2 = config.l2, config.feature_l2
        self._task = tfrs.tasks.Retrieval(remove_accidental_hits=True)

    def compute_loss(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Returns the summed loss of a batch; its scale grows with the batch, the penalty's too."""
        targets = inputs["item"]
        drawn = self._draws.draw(inputs["user"], targets)
        # Each item once: then it is dropped or kept alike wherever it stands in the batch.
        rows, places = tf.unique(tf.concat([targets, tf.reshape(drawn.item_rows, [-1])], axis=0))
        vectors = self.towers.items(rows, training)
        items = tf.gather(vectors.candidates, places[: tf.size(targets)])
        history = tf.gather(vectors.in_history, places[tf.size(targets) :])
        history = tf.reshape(history, tf.concat([tf.shape(drawn.item_rows), [-1]], axis=0))
        pooled = tf.einsum("bhd,bh->bd", history, drawn.weights)
        users = self.towers.users(inputs["user"], pooled)
        loss = self._task(
            users,
            items,
            candidate_sampling_probability=tf.gather(self._sampling, targets),
            candidate_ids=targets,
            compute_metrics=False,
        )
        # On the rows gathered: what occurs often is pulled in as often. A word of two titles is
        # not, and without a penalty of its own its bias would be that of these two.
        of_batch = tf.nn.l2_loss(users[:, :-1]) + tf.nn.l2_loss(items[:, :-1])
        of_features = sum(tf.nn.l2_loss(tower.feature_weights) for tower in self.towers)
        feature_l2 = self._feature_l2 * tf.cast(tf.size(targets), tf.float32)
        return loss + 2 * (self._l2 * of_batch + feature_l2 * of_features)


class FeatureTraining:
    """One model being fitted to one split."""

    def __init__(
        self,
        dataset: Dataset,
        split: Split,
        config: FeatureConfig,
        item_ids: Ids,
    ) -> None:
        """Takes beside what every family takes the ids of items."""
        tf.keras.utils.set_random_seed(config.seed)
        train, user_count = split.train, len(dataset.users)
        self._config, self._users, self._items = config, user_count, len(dataset.items)
        self.item_features = FeatureRows(item_columns(dataset.items), train.item_rows, self._items)
        self.user_features = FeatureRows(dataset.users.columns, train.user_rows, user_count)
        self._histories = Histories.of(user_count, train)
        dimension = config.embedding_dimension
        counts = item_counts(train, self._items)
        towers = Towers(
            FeatureUserTower(self.user_features, dimension),
            FeatureItemTower(self.item_features, dimension, item_ids),
        )
        draws = HistoryDraws(self._histories, config)
        shares = (counts / len(train)).astype(np.float32)
        self._model = FeatureModel(towers, draws, shares, config)
        steps = config.epochs * -(-len(train) // config.batch_size)
        self._model.compile(
            optimizer=tf.keras.optimizers.Adam(
                tf.keras.optimizers.schedules.CosineDecay(config.learning_rate, steps)
            ),
            steps_per_execution=_STEPS_PER_EXECUTION,
        )
        self._train = _batches(train, config)

    def run_epoch(self) -> dict[str, float]:
        """Makes one pass over the training interactions; returns `loss`, of the last batch."""
        history = self._model.fit(self._train, epochs=1, verbose=0)
        return {"loss": float(history.history["loss"][-1])}

    def model(self) -> RetrievalModel:
        """Returns vectors for all users and all items, and the query tower for other users.

        Users of the table are embedded by their training items and their attributes, items by
        attributes and, where training knows it, by id.
        """
        user_tower, item_tower = self._model.towers
        parts = [item_tower(rows) for rows in _pieces(self._items)]
        in_history = np.concatenate([part.in_history for part in parts])
        prior = self._config.history_prior
        users = [
            user_tower(rows, pool(self._histories.pairs(rows), in_history, len(rows), prior))
            for rows in _pieces(self._users)
        ]
        query_tower = PooledQueryTower(
            self.user_features.features, in_history, user_tower.profile, prior
        )
        items = np.concatenate([part.candidates for part in parts])
        return RetrievalModel(Embeddings(np.concatenate(users), items), Stages(query_tower))


def _pieces(row_count: int) -> list[NDArray[np.int32]]:
    rows = np.arange(row_count, dtype=np.int32)
    return np.split(rows, range(_ROWS_AT_ONCE, row_count, _ROWS_AT_ONCE))


def _batches(train: Interactions, config: FeatureConfig) -> tf.data.Dataset:
    rows = tf.data.Dataset.from_tensor_slices({"user": train.user_rows, "item": train.item_rows})
    shuffled = rows.shuffle(len(train), seed=config.seed, reshuffle_each_iteration=True)
    return shuffled.batch(config.batch_size).prefetch(tf.data.AUTOTUNE)
