"""The history family by gradients: a history's item vectors, pooled, under a sampled softmax.

For catalogues and numbers of users that closed forms do not reach: a step costs the same however
many items there are. Nothing is known of users but what they took, so that a known user and a
stranger with the same history get the same list.
"""

from dataclasses import replace

from recserve_trainer.evaluation.split import Split
from recserve_trainer.fit_configs import HistorySoftmaxConfig
from recserve_trainer.interactions import Dataset
from recserve_trainer.learning.feature_model import FeatureTraining
from recserve_trainer.learning.feature_towers import Ids
from recserve_trainer.learning.towers import Vocabulary
from recserve_trainer.tables import UserTable


class HistorySoftmaxTraining(FeatureTraining):
    """One model being fitted to one split; the target is left out of its own history."""

    def __init__(self, dataset: Dataset, split: Split, config: HistorySoftmaxConfig) -> None:
        """Prepares towers over the item ids that occur in training."""
        item_count = len(dataset.items)
        items = Vocabulary(split.train.item_rows, item_count)
        strangers = replace(dataset, users=UserTable(dataset.users.ids))
        super().__init__(strangers, split, config, Ids(items, item_count, config.item_dropout))
