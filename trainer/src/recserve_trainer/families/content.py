"""The content family: items by words and attributes, users by what they took and who they are.

No ids: items and users that training never saw are embedded as all others are. It learns from the
collaborative family, whose vectors are what attributes, histories and profiles are mapped to. Of an
item that training knows its popularity is used besides, which no attribute of a film tells.
"""

from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recserve_trainer.errors import TrainerError
from recserve_trainer.evaluation.baselines import item_counts
from recserve_trainer.evaluation.split import Split
from recserve_trainer.families.collaborative import CollaborativeTraining
from recserve_trainer.fit_configs import ContentConfig
from recserve_trainer.interactions import Dataset
from recserve_trainer.learning.attribute_mapping import (
    Attributes,
    apply_mapping,
    learn_mapping,
    map_attributes,
)
from recserve_trainer.learning.feature_rows import item_columns
from recserve_trainer.learning.item_tower import AttributeItemTower
from recserve_trainer.learning.query_regression import QueryRegression
from recserve_trainer.retrieval import Embeddings, RetrievalModel, Stages
from recserve_trainer.tables import Column

_POPULARITY: Final = ("popularity", "popularity squared")


class ContentTraining:
    """One content model being fitted to one split."""

    def __init__(self, dataset: Dataset, split: Split, config: ContentConfig) -> None:
        """Prepares the teacher.

        Raises:
            TrainerError: nothing is known of the items that a model could tell them apart by.
        """
        self._config = config
        self._counts = item_counts(split.train, len(dataset.items))
        self._known = np.flatnonzero(self._counts).astype(np.int32)
        self._attributes = Attributes.of(item_columns(dataset.items), self._known)
        if not self._attributes.features:
            raise TrainerError(
                f"content needs attributes of items, and {dataset.name} has none that two training "
                "items share: no column and no word of a title; give columns or choose another "
                "model"
            )
        popular = self._attributes.columns | _popularity(self._counts)
        self._with_popularity = Attributes.of(popular, self._known)
        self._teacher = CollaborativeTraining(dataset, split, config)
        self._regression = QueryRegression(dataset.users, split.train, config)
        self._everybody = np.arange(len(dataset.users), dtype=np.int32)

    def run_epoch(self) -> dict[str, float]:
        """Trains the teacher for one pass."""
        return self._teacher.run_epoch()

    def model(self) -> RetrievalModel:
        """Returns vectors without ids for all users and items, and the towers for others."""
        teacher, config, known = self._teacher.embeddings(), self._config, self._known
        counts = self._counts.astype(np.float64)
        mapping = learn_mapping(self._attributes, teacher.items, counts, config.new_item_l2)
        items = apply_mapping(self._attributes, mapping, len(counts))
        popular = map_attributes(self._with_popularity, teacher.items, counts, config.item_l2)
        items[known] = popular[known]
        weights = self._regression.weights(teacher.users[:, :-1], items[:, :-1])
        tower = self._regression.tower(weights, items[:, :-1])
        users = self._regression.embed(tower, self._everybody)
        new_items = AttributeItemTower(
            self._attributes.features, mapping.astype(np.float32), weights.history
        )
        return RetrievalModel(Embeddings(users, items), Stages(tower, item_tower=new_items))


def _popularity(counts: NDArray[np.int64]) -> dict[str, Column]:
    """Returns what bias and taste depend on: the logarithm of the count, and its square."""
    logs = np.log1p(counts)
    known = logs[counts > 0]
    standard = (logs - known.mean()) / (known.std() or 1.0)
    columns = (standard, standard**2)
    return {
        name: Column("number", pa.array(values))
        for name, values in zip(_POPULARITY, columns, strict=True)
    }
