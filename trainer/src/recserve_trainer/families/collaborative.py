"""The collaborative two-tower model: a vector per user and per item, learnt from ids alone.

Loss: softmax over the items of a batch (Yi et al., "Sampling-bias-corrected neural modeling for
large corpus item recommendations", 2019), corrected for how often an item turns up as a negative.
What is served is a moving average of the vectors over the steps.
"""

import math

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs
from numpy.typing import NDArray

from recserve_trainer.evaluation.baselines import item_counts
from recserve_trainer.evaluation.split import Split
from recserve_trainer.fit_configs import CollaborativeConfig
from recserve_trainer.interactions import Dataset, Interactions
from recserve_trainer.learning import distribution
from recserve_trainer.learning.averaging import StepAverages
from recserve_trainer.learning.ials import RatingScale
from recserve_trainer.learning.query_regression import QueryRegression
from recserve_trainer.learning.towers import ItemTower, UserTower, Vocabulary
from recserve_trainer.retrieval import Embeddings, RetrievalModel, Stages
from recserve_trainer.tables import UserTable

_ACCURACY_AT = (10, 100)
ACCURACY_ITEMS = 100_000
"""Up to so many known items `FactorizedTopK` runs. It takes 0.6 ms per validation interaction
there on 2 cores, in proportion to the items: 6 ms at a million, more than the whole epoch."""
_STEPS_PER_EXECUTION = 16
_VALIDATION_BATCH_SIZE = 4096
_OPTIMIZERS = {"adam": tf.keras.optimizers.Adam, "adagrad": tf.keras.optimizers.Adagrad}


class CollaborativeModel(tfrs.Model):  # type: ignore[misc]  # TFRS has no types
    """Two towers under `tfrs.tasks.Retrieval`.

    Inputs: `user`, int32 [queries], `weight`, float32 [queries], and `item`, int32 [candidates].
    The first candidates are the queries' own and the others, if any, are negatives only.

    `FactorizedTopK` scans the catalogue, so it runs on validation batches only: on training
    batches it would cost hundreds of times the step itself. Above `ACCURACY_ITEMS`, and where
    several workers train, it is left out.
    """

    def __init__(
        self,
        users: Vocabulary,
        items: Vocabulary,
        sampling: NDArray[np.float32],
        config: CollaborativeConfig,
    ) -> None:
        super().__init__()
        dimension, seed = config.embedding_dimension, config.seed
        self.user_tower = UserTower(len(users), dimension, seed=seed)
        self.item_tower = ItemTower(len(items), dimension, seed=seed, bias=config.item_bias)
        self._sampling = tf.constant(sampling)
        self._config = config
        alone = distribution.strategy().num_replicas_in_sync == 1
        self.has_accuracies = alone and len(items) <= ACCURACY_ITEMS
        self._task = tfrs.tasks.Retrieval(
            metrics=self._accuracies(len(items)) if self.has_accuracies else None,
            remove_accidental_hits=config.remove_accidental_hits,
        )
        self.mean_loss = tf.keras.metrics.Mean(name="mean_loss")
        for tower in (self.user_tower, self.item_tower):
            tower(tf.zeros([1], tf.int32))
        self.averages = StepAverages(self.trainable_variables) if config.averaging else None

    def _accuracies(self, item_count: int) -> tfrs.metrics.FactorizedTopK:
        entries = tf.data.Dataset.range(item_count).map(lambda entry: tf.cast(entry, tf.int32))
        candidates = entries.batch(8192).map(lambda batch: (batch, self.item_tower(batch)))
        return tfrs.metrics.FactorizedTopK(candidates, ks=_ACCURACY_AT)

    def compute_loss(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Returns the summed loss of a batch; its scale grows with the batch, the penalty's too."""
        users = self.user_tower(inputs["user"])
        items = self.item_tower(inputs["item"])
        corrected = self._config.sampling_correction
        loss = self._task(
            users,
            items,
            sample_weight=inputs["weight"] if training else None,
            candidate_sampling_probability=tf.gather(self._sampling, inputs["item"])
            if corrected
            else None,
            candidate_ids=inputs["item"],
            compute_metrics=not training,
        )
        # On the rows gathered, not on the tables: what occurs often is pulled in as often.
        own_items = items[: tf.shape(users)[0]]
        loss += self._config.l2 * (
            tf.reduce_sum(tf.square(users[:, :-1])) + tf.reduce_sum(tf.square(own_items[:, :-1]))
        )
        count = tf.cast(tf.shape(users)[0], tf.float32)
        self.mean_loss.update_state(tf.math.divide_no_nan(loss, count), sample_weight=count)
        return loss

    def train_step(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Makes one step, and lets the averages follow."""
        logged: dict[str, tf.Tensor] = super().train_step(inputs)
        if self.averages is not None:
            self.averages.follow(self.optimizer.iterations)
        return logged


class CollaborativeTraining:
    """One model being fitted to one split."""

    def __init__(self, dataset: Dataset, split: Split, config: CollaborativeConfig) -> None:
        strategy = distribution.strategy()
        tf.keras.utils.set_random_seed(config.seed)
        self._dataset, self._config = dataset, config
        self._users = Vocabulary(split.train.user_rows, len(dataset.users))
        self._items = Vocabulary(split.train.item_rows, len(dataset.items))
        counts = item_counts(split.train, len(dataset.items))[self._items.rows]
        # The last entry stands for items unknown to training, met on validation batches alone.
        sampling = np.append(counts, 1) / len(split.train)
        # Within one execution collective ops cannot change shape, as the last batch makes them.
        alone = strategy.num_replicas_in_sync == 1
        with strategy.scope():
            self._model = CollaborativeModel(
                self._users, self._items, sampling.astype(np.float32), config
            )
            self._model.compile(
                optimizer=_OPTIMIZERS[config.optimizer](config.learning_rate),
                steps_per_execution=_STEPS_PER_EXECUTION if alone else 1,
            )
        self._ratings = RatingScale.of(split.train.ratings, config.least_confidence)
        ids_alone = UserTable(dataset.users.ids)
        self._regression = QueryRegression(ids_alone, split.train, config)
        self._train = self._columns(split.train)
        self._validation = self._columns(split.validation)
        self._shuffling = np.random.default_rng(config.seed)

    @property
    def step_count(self) -> int:
        """Steps made so far, of all workers together."""
        return int(self._model.optimizer.iterations.numpy())

    def run_epoch(self) -> dict[str, float]:
        """Makes one pass over the training interactions, then one over the validation's.

        Returns:
            `loss`, the mean per interaction, and up to `ACCURACY_ITEMS` known items
            FactorizedTopK's accuracies on validation. These count what a user has seen as
            candidates, so they fall as a model learns.
        """
        size = len(self._train["user"])
        steps = math.ceil(size / self._config.batch_size)
        order = self._shuffling.permutation(size)
        batches = distribution.batches(self._train, order, self._config.batch_size)
        self._model.fit(batches, steps_per_epoch=steps, epochs=1, verbose=0)
        loss = float(self._model.mean_loss.result())
        if not self._model.has_accuracies or not len(self._validation["user"]):
            return {"loss": loss}
        return {"loss": loss, **self._accuracies()}

    def _accuracies(self) -> dict[str, float]:
        rows = tf.data.Dataset.from_tensor_slices(self._validation).batch(_VALIDATION_BATCH_SIZE)
        validation = self._model.evaluate(rows, return_dict=True, verbose=0)
        return {
            name.removeprefix("factorized_top_k/"): float(value)
            for name, value in validation.items()
            if name.startswith("factorized_top_k/")
        }

    def model(self) -> RetrievalModel:
        """Returns the vectors as they stand, and a query tower for users training does not know."""
        embeddings = self.embeddings()
        tower = self._regression.fit(embeddings.users[:, :-1], embeddings.items[:, :-1])
        users = self._regression.embed_strangers(tower, embeddings.users)
        return RetrievalModel(Embeddings(users, embeddings.items), Stages(tower))

    def embeddings(self) -> Embeddings:
        """Returns the averages of the vectors as they stand, zero for users without interactions.

        An item without training interactions gets the zero vector and the lowest bias of all:
        nothing is known for it, so it ranks by that, and last among equals.
        """
        if self._model.averages is not None:
            self._model.averages.swap()
        known_users = self._all(self._model.user_tower, len(self._users))
        known_items = self._all(self._model.item_tower, len(self._items))
        if self._model.averages is not None:
            self._model.averages.swap()
        length = known_items.shape[1]
        users = np.zeros((len(self._dataset.users), length), np.float32)
        users[self._users.rows] = known_users
        items = np.zeros((len(self._dataset.items), length), np.float32)
        items[:, -1] = known_items[:, -1].min()
        items[self._items.rows] = known_items
        return Embeddings(users, items)

    @staticmethod
    def _all(tower: tf.keras.Model, size: int) -> NDArray[np.float32]:
        return np.asarray(tower(tf.range(size, dtype=tf.int32)))

    def _columns(self, part: Interactions) -> dict[str, NDArray[np.generic]]:
        return {
            "user": self._users.lookup(part.user_rows),
            "item": self._items.lookup(part.item_rows),
            "weight": self._ratings.confidence(part.ratings).astype(np.float32),
        }
