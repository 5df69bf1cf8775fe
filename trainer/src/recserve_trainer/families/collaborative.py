"""The collaborative two-tower model: a vector per user and per item, learnt from ids alone.

Loss: softmax over the items of a batch (Yi et al., "Sampling-bias-corrected neural modeling for
large corpus item recommendations", 2019), corrected for how often an item turns up as a negative.
"""

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs
from numpy.typing import NDArray

from recserve_trainer.evaluation.baselines import item_counts
from recserve_trainer.evaluation.split import Split
from recserve_trainer.families.towers import ItemTower, UserTower, Vocabulary
from recserve_trainer.fit_configs import CollaborativeConfig
from recserve_trainer.interactions import Dataset, Interactions
from recserve_trainer.retrieval import Embeddings, RetrievalModel

_ACCURACY_AT = (10, 100)
ACCURACY_ITEMS = 100_000
"""Up to so many known items `FactorizedTopK` runs. It takes 0.6 ms per validation interaction
there on 2 cores, in proportion to the items: 6 ms at a million, more than the whole epoch."""
_STEPS_PER_EXECUTION = 16
_VALIDATION_BATCH_SIZE = 4096


class CollaborativeModel(tfrs.Model):  # type: ignore[misc]  # TFRS has no types
    """Two towers under `tfrs.tasks.Retrieval`; inputs are int32 [batch] `user` and `item` entries.

    `FactorizedTopK` scans the catalogue, so it runs on validation batches only: on training
    batches it would cost hundreds of times the step itself. Above `ACCURACY_ITEMS` it is left out.
    """

    def __init__(
        self,
        users: Vocabulary,
        items: Vocabulary,
        sampling: NDArray[np.float32],
        config: CollaborativeConfig,
    ) -> None:
        super().__init__()
        self.user_tower = UserTower(len(users), config.embedding_dimension)
        self.item_tower = ItemTower(len(items), config.embedding_dimension)
        self._sampling = tf.constant(sampling)
        self._l2 = config.l2
        self.has_accuracies = len(items) <= ACCURACY_ITEMS
        self._task = tfrs.tasks.Retrieval(
            metrics=self._accuracies(len(items)) if self.has_accuracies else None,
            remove_accidental_hits=True,
        )

    def _accuracies(self, item_count: int) -> tfrs.metrics.FactorizedTopK:
        entries = tf.data.Dataset.range(item_count).map(lambda entry: tf.cast(entry, tf.int32))
        candidates = entries.batch(8192).map(lambda batch: (batch, self.item_tower(batch)))
        return tfrs.metrics.FactorizedTopK(candidates, ks=_ACCURACY_AT)

    def compute_loss(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Returns the summed loss of a batch; its scale grows with the batch, the penalty's too."""
        users = self.user_tower(inputs["user"])
        items = self.item_tower(inputs["item"])
        loss = self._task(
            users,
            items,
            candidate_sampling_probability=tf.gather(self._sampling, inputs["item"]),
            candidate_ids=inputs["item"],
            compute_metrics=not training,
        )
        # On the rows gathered, not on the tables: what occurs often is pulled in as often.
        return loss + self._l2 * (
            tf.reduce_sum(tf.square(users[:, :-1])) + tf.reduce_sum(tf.square(items[:, :-1]))
        )


class CollaborativeTraining:
    """One model being fitted to one split."""

    def __init__(self, dataset: Dataset, split: Split, config: CollaborativeConfig) -> None:
        tf.keras.utils.set_random_seed(config.seed)
        self._dataset = dataset
        self._users = Vocabulary(split.train.user_rows, len(dataset.user_ids))
        self._items = Vocabulary(split.train.item_rows, len(dataset.items))
        counts = item_counts(split.train, len(dataset.items))[self._items.rows]
        # The last entry stands for items unknown to training, met on validation batches alone.
        sampling = np.append(counts, 1) / len(split.train)
        self._model = CollaborativeModel(
            self._users, self._items, sampling.astype(np.float32), config
        )
        self._model.compile(
            optimizer=tf.keras.optimizers.Adam(config.learning_rate),
            steps_per_execution=_STEPS_PER_EXECUTION,
        )
        self._train = self._batches(split.train, config.batch_size, shuffle_seed=config.seed)
        self._validation = self._batches(
            split.validation, _VALIDATION_BATCH_SIZE, shuffle_seed=None
        )

    def run_epoch(self) -> dict[str, float]:
        """Makes one pass over the training interactions, then one over the validation's.

        Returns:
            `loss`, of the last batch, and up to `ACCURACY_ITEMS` known items FactorizedTopK's
            accuracies on validation. These count what a user has seen as candidates, so they fall
            as a model learns.
        """
        history = self._model.fit(self._train, epochs=1, verbose=0)
        loss = float(history.history["loss"][-1])
        if not self._model.has_accuracies:
            return {"loss": loss}
        validation = self._model.evaluate(self._validation, return_dict=True, verbose=0)
        accuracies = {
            name.removeprefix("factorized_top_k/"): float(value)
            for name, value in validation.items()
            if name.startswith("factorized_top_k/")
        }
        return {"loss": loss, **accuracies}

    def model(self) -> RetrievalModel:
        """Returns the vectors as they stand.

        An item without training interactions gets the zero vector and the lowest bias of all:
        nothing is known for it, so it ranks by that, and last among equals.
        """
        known_users = self._all(self._model.user_tower, len(self._users))
        known_items = self._all(self._model.item_tower, len(self._items))
        length = known_items.shape[1]
        users = np.zeros((len(self._dataset.user_ids), length), np.float32)
        users[self._users.rows] = known_users
        items = np.zeros((len(self._dataset.items), length), np.float32)
        items[:, -1] = known_items[:, -1].min()
        items[self._items.rows] = known_items
        return RetrievalModel(Embeddings(users, items))

    @staticmethod
    def _all(tower: tf.keras.Model, size: int) -> NDArray[np.float32]:
        return np.asarray(tower(tf.range(size, dtype=tf.int32)))

    def _batches(
        self, part: Interactions, batch_size: int, *, shuffle_seed: int | None
    ) -> tf.data.Dataset:
        columns = {
            "user": self._users.lookup(part.user_rows),
            "item": self._items.lookup(part.item_rows),
        }
        rows = tf.data.Dataset.from_tensor_slices(columns)
        if shuffle_seed is not None:
            rows = rows.shuffle(len(part), seed=shuffle_seed, reshuffle_each_iteration=True)
        return rows.batch(batch_size).prefetch(tf.data.AUTOTUNE)
