"""The hybrid family: the collaborative family's vectors, made up for by attributes and histories.

A known item is what its id has learnt, drawn a little towards what its attributes say; a new item
is what its attributes say. A user that training does not know is embedded by history and profile.
"""

import numpy as np
from numpy.typing import NDArray

from recserve_trainer.evaluation.baselines import item_counts
from recserve_trainer.evaluation.split import Split
from recserve_trainer.families.collaborative import CollaborativeTraining
from recserve_trainer.fit_configs import HybridConfig
from recserve_trainer.interactions import Dataset
from recserve_trainer.learning.attribute_mapping import Attributes, apply_mapping, learn_mapping
from recserve_trainer.learning.feature_rows import item_columns
from recserve_trainer.learning.item_tower import AttributeItemTower
from recserve_trainer.learning.query_regression import QueryRegression
from recserve_trainer.retrieval import Embeddings, RetrievalModel, Stages


class HybridTraining:
    """One hybrid model being fitted to one split; works without any attributes too."""

    def __init__(self, dataset: Dataset, split: Split, config: HybridConfig) -> None:
        self._config = config
        self._ids = CollaborativeTraining(dataset, split, config)
        self._regression = QueryRegression(dataset.users, split.train, config)
        self._counts = item_counts(split.train, len(dataset.items)).astype(np.float32)
        known = np.flatnonzero(self._counts).astype(np.int32)
        self._attributes = Attributes.of(item_columns(dataset.items), known)

    def run_epoch(self) -> dict[str, float]:
        """Trains the vectors of ids for one pass."""
        return self._ids.run_epoch()

    def model(self) -> RetrievalModel:
        """Returns vectors for all users and items, and the towers for others.

        There is no item tower where items have no attributes.
        """
        embeddings = self._ids.embeddings()
        items, mapping = embeddings.items, None
        if self._attributes.features:
            mapping = learn_mapping(self._attributes, items, self._counts, self._config.new_item_l2)
            items = self._drawn_towards(mapping, items)
        weights = self._regression.weights(embeddings.users[:, :-1], items[:, :-1])
        tower = self._regression.tower(weights, items[:, :-1])
        users = self._regression.embed_strangers(tower, embeddings.users)
        new_items = None
        if mapping is not None:
            new_items = AttributeItemTower(
                self._attributes.features, mapping.astype(np.float32), weights.history
            )
        return RetrievalModel(Embeddings(users, items), Stages(tower, item_tower=new_items))

    def _drawn_towards(
        self, mapping: NDArray[np.floating], vectors: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        counts, shrinkage = self._counts, self._config.item_shrinkage
        mapped = apply_mapping(self._attributes, mapping, len(vectors))
        # New items have no count, and so are what is mapped, whatever the shrinkage.
        shares = np.where(counts > 0, counts / np.maximum(counts + shrinkage, 1), 0)
        items = shares[:, None] * vectors + (1 - shares)[:, None] * mapped
        return items.astype(np.float32)
