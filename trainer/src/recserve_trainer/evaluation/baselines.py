"""What any model has to beat."""

import numpy as np
from numpy.typing import NDArray

from recserve_trainer.evaluation.metrics import Scorer
from recserve_trainer.interactions import Interactions


def item_counts(train: Interactions, item_count: int) -> NDArray[np.int64]:
    """Returns [item_count]: the training interactions of each item."""
    return np.bincount(train.item_rows, minlength=item_count)


def popularity_scorer(train: Interactions, item_count: int) -> Scorer:
    """Scores every item by its training interactions, the same for each user."""
    counts = item_counts(train, item_count).astype(np.float32)
    return lambda user_rows: np.tile(counts, (len(user_rows), 1))
