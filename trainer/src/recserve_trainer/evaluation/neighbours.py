"""Neighbourhood baselines: items that are taken together; pure.

Sums over whole user by item matrices, for catalogues up to some ten thousand items.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recserve_trainer.evaluation.metrics import Scorer
from recserve_trainer.interactions import Histories, Interactions

_DAY_S: Final = 86_400


def taken(
    histories: Histories, user_rows: NDArray[np.int32], item_count: int
) -> NDArray[np.float32]:
    """Returns float32 [len(user_rows), item_count]: 1 where the user has taken the item, else 0."""
    matrix = np.zeros((len(user_rows), item_count), np.float32)
    pairs = histories.pairs(user_rows)
    matrix[pairs[:, 0], pairs[:, 1]] = 1
    return matrix


@dataclass(frozen=True, slots=True)
class ItemWeights:
    """Scores an item by the sum of weights from all that the user has taken."""

    weights: NDArray[np.float32]
    """[items, items], from row to column."""
    user_count: int

    def scorer(self, known: Interactions) -> Scorer:
        """Returns what scores for users who are known by these interactions."""
        histories = Histories.of(self.user_count, known)
        return lambda users: taken(histories, users, len(self.weights)) @ self.weights


def item_knn(
    train: Interactions, shape: tuple[int, int], *, neighbours: int = 100, shrink: float = 100
) -> ItemWeights:
    """Fits item-based nearest neighbours by cosine with shrinkage.

    similarity = both / (sqrt(one * other) + shrink) over the numbers of users who took them, each
    item keeping its most similar ones (Sarwar et al., "Item-based collaborative filtering
    recommendation algorithms", 2001; shrinkage as in Ferrari Dacrema et al., "Are we really making
    much progress?", 2019). The defaults were chosen on a fold inside the training part of MovieLens
    100K, item split.

    Args:
        train: what to learn from.
        shape: numbers of users and of items.
        neighbours: items kept for each item.
        shrink: pulls similarities down that few users stand behind.
    """
    together = _together(train, shape)
    counts = together.diagonal()
    similarity = together / np.maximum(np.sqrt(np.outer(counts, counts)) + shrink, 1e-9)
    np.fill_diagonal(similarity, 0)
    if neighbours < len(similarity):
        # Each column keeps its strongest: the neighbours of the item that is scored.
        least = np.partition(similarity, -neighbours, axis=0)[-neighbours]
        similarity[similarity < least] = 0
    return ItemWeights(similarity.astype(np.float32), shape[0])


@dataclass(frozen=True, slots=True)
class Sar:
    """Jaccard similarity times affinity, which halves with age."""

    similarity: NDArray[np.float64]
    """[items, items]."""
    now_s: int
    """The newest timestamp of training, seconds since 1970."""
    half_life_s: float
    user_count: int

    def scorer(self, known: Interactions) -> Scorer:
        """Returns what scores for users who are known by these interactions."""
        age_s = np.maximum(0, self.now_s - known.timestamps)
        affinity = np.zeros((self.user_count, len(self.similarity)))
        decayed = known.ratings * 0.5 ** (age_s / self.half_life_s)
        np.add.at(affinity, (known.user_rows, known.item_rows), decayed)
        return lambda users: (affinity[users] @ self.similarity).astype(np.float32)


def sar(train: Interactions, shape: tuple[int, int], *, half_life_days: float = 30) -> Sar:
    """Fits SAR as recommenders-team's benchmark does: Jaccard, 30 days of half-life, ratings count.

    recommenders/models/sar/sar_singlenode.py. With their split and its seed the metrics are theirs
    to the last published digit.

    Args:
        train: what to learn from.
        shape: numbers of users and of items.
        half_life_days: age at which an interaction counts half.
    """
    together = _together(train, shape)
    counts = together.diagonal()
    either = counts[:, np.newaxis] + counts - together
    return Sar(
        similarity=together / np.maximum(either, 1),
        now_s=int(train.timestamps.max()),
        half_life_s=half_life_days * _DAY_S,
        user_count=shape[0],
    )


def _together(train: Interactions, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Returns float64 [items, items]: how many users took both; the diagonal: took it at all."""
    users = np.arange(shape[0], dtype=np.int32)
    matrix = taken(Histories.of(shape[0], train), users, shape[1])
    # Whole numbers, so exact in float32 up to 16 million users.
    return (matrix.T @ matrix).astype(np.float64)
