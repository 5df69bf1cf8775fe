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
from recserve_trainer.learning.attribute_mapping import Attributes, map_attributes
from recserve_trainer.learning.feature_rows import item_columns
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
        """Returns vectors for all users and items, and the query tower for other users."""
        embeddings = self._ids.embeddings()
        items = self._with_attributes(embeddings.items)
        tower = self._regression.fit(embeddings.users[:, :-1], items[:, :-1])
        users = self._regression.embed_strangers(tower, embeddings.users)
        return RetrievalModel(Embeddings(users, items), Stages(tower))

    def _with_attributes(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        config, counts = self._config, self._counts
        if not self._attributes.features:
            return vectors
        mapped = map_attributes(self._attributes, vectors, counts, config.new_item_l2)
        # New items have no count, and so are what is mapped, whatever the shrinkage.
        shares = np.where(counts > 0, counts / np.maximum(counts + config.item_shrinkage, 1), 0)
        items = shares[:, None] * vectors + (1 - shares)[:, None] * mapped
        return items.astype(np.float32)
