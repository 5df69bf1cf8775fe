"""What the retrieval scores of a model look like: by which a score can be told high or low."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from recserve.artifact.v1 import manifest_pb2
from recserve_trainer.retrieval import Embeddings

_MOST_USERS: Final = 1000
_MOST_ITEMS: Final = 20_000
PERCENTS: Final = np.concatenate(
    [np.arange(100), 99 + np.arange(1, 10) / 10, 99.9 + np.arange(1, 10) / 100, [100]]
)
"""Close together at the upper end, where recommendations are."""


def score_percentiles(embeddings: Embeddings) -> list[manifest_pb2.ScorePercentile]:
    """Measures the scores of pairs of user and item, seen ones too.

    Up to 1000 users and up to 20,000 items are paired, both spread over their tables.

    Returns:
        One point per number of `PERCENTS`, both percents and scores ascending.
    """
    users, items = _spread(embeddings.users, _MOST_USERS), _spread(embeddings.items, _MOST_ITEMS)
    scores = np.quantile(users @ items.T, PERCENTS / 100, overwrite_input=True)
    # Interpolated, equal scores may differ in the last digit.
    ascending = np.maximum.accumulate(scores)
    return [
        manifest_pb2.ScorePercentile(percent=round(float(percent), 2), score=float(score))
        for percent, score in zip(PERCENTS, ascending, strict=True)
    ]


def _spread(vectors: NDArray[np.float32], most: int) -> NDArray[np.float32]:
    rows = np.linspace(0, len(vectors) - 1, min(most, len(vectors))).astype(np.intp)
    return vectors[rows]
