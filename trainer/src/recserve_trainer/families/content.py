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
from recserve_trainer.features import fit_features
from recserve_trainer.fit_configs import ContentConfig
from recserve_trainer.interactions import Dataset
from recserve_trainer.learning.attribute_mapping import map_attributes
from recserve_trainer.learning.feature_rows import item_columns
from recserve_trainer.learning.query_regression import Known, fit_query_tower
from recserve_trainer.learning.strangers import embed_users
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
        self._dataset, self._train, self._config = dataset, split.train, config
        self._counts = item_counts(split.train, len(dataset.items))
        self._known = np.flatnonzero(self._counts).astype(np.int32)
        self._columns = item_columns(dataset.items)
        if not fit_features(self._columns, self._known):
            raise TrainerError(
                f"content needs attributes of items, and {dataset.name} has none that two training "
                "items share: no column and no word of a title; give columns or choose another "
                "model"
            )
        self._teacher = CollaborativeTraining(dataset, split, config)

    def run_epoch(self) -> dict[str, float]:
        """Trains the teacher for one pass."""
        return self._teacher.run_epoch()

    def model(self) -> RetrievalModel:
        """Returns vectors without ids for all users and items, and the query tower for others."""
        teacher, config = self._teacher.embeddings(), self._config
        items = self._mapped(self._columns, teacher.items, config.new_item_l2)
        popular = {**self._columns, **_popularity(self._counts)}
        items[self._known] = self._mapped(popular, teacher.items, config.item_l2)[self._known]
        users = self._dataset.users
        tower = fit_query_tower(
            Known(users, self._train, teacher.users[:, :-1], items[:, :-1]), config
        )
        known = Known(users, self._train, teacher.users, items)
        everybody = np.arange(len(users), dtype=np.int32)
        return RetrievalModel(
            Embeddings(embed_users(tower, known, everybody), items), Stages(tower)
        )

    def _mapped(
        self, columns: dict[str, Column], vectors: NDArray[np.float32], l2: float
    ) -> NDArray[np.float32]:
        features = fit_features(columns, self._known)
        return map_attributes(columns, features, vectors, self._counts.astype(np.float64), l2)


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
