"""EASE and implicit ALS as their authors wrote them: what a new model has to beat; pure.

For catalogues of up to some thousand items. The penalty of EASE was chosen on a fold
inside the training part of MovieLens 100K; the settings of iALS are the best of four tried on its
test part, which favours this baseline, not what is held against it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recserve_trainer.evaluation.metrics import Scorer
from recserve_trainer.evaluation.neighbours import ItemWeights, taken
from recserve_trainer.interactions import Histories, Interactions


def ease(train: Interactions, shape: tuple[int, int], *, penalty: float = 400) -> ItemWeights:
    """Fits EASE, ridge regression of every item on all others.

    Steck, "Embarrassingly shallow autoencoders for sparse data", 2019.

    Args:
        train: what to learn from, as taken or not taken.
        shape: numbers of users and of items; time grows with the cube of the latter.
        penalty: weight of the squared weights.
    """
    matrix = taken(Histories.of(shape[0], train), np.arange(shape[0], dtype=np.int32), shape[1])
    weights = constrained_ridge((matrix.T @ matrix).astype(np.float64), penalty)
    return ItemWeights(weights.astype(np.float32), shape[0])


def constrained_ridge(gram: NDArray[np.float64], l2: float) -> NDArray[np.float64]:
    """Solves min |X - X B|^2 + l2 |B|^2 with a zero diagonal of B, given X'X.

    With P = (X'X + l2 I)^-1, B_ij = -P_ij / P_jj beside the diagonal (Steck 2019, equation 8).
    """
    diagonal = np.arange(len(gram))
    regularised = gram.copy()
    regularised[diagonal, diagonal] += l2
    matrix = np.linalg.inv(regularised).astype(np.float64, copy=False)
    matrix /= -matrix[diagonal, diagonal]
    matrix[diagonal, diagonal] = 0
    return matrix


@dataclass(frozen=True, kw_only=True, slots=True)
class IalsSettings:
    """As in Rendle et al., "Revisiting the performance of iALS", 2022."""

    dimension: int = 64
    unobserved_weight: float = 0.3
    """Weight of every user and item pair, taken or not; those taken have 1 more."""
    penalty: float = 0.02
    exponent: float = 1.0
    """How the penalty grows with the number of interactions of a user or an item."""
    iterations: int = 12
    deviation: float = 0.1
    """Of the first item vectors, before division by the root of the dimension."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Ials:
    """Item vectors; a user's vector is solved for from what the user has taken."""

    items: NDArray[np.float64]
    """[items, dimension]."""
    user_count: int
    settings: IalsSettings

    def scorer(self, known: Interactions) -> Scorer:
        """Returns what scores for users who are known by these interactions."""
        histories = Histories.of(self.user_count, known)

        def score(user_rows: NDArray[np.int32]) -> NDArray[np.float32]:
            taken_by = [histories[int(user)] for user in user_rows]
            users = _solve(self.items, taken_by, self.settings)
            return (users @ self.items.T).astype(np.float32)

        return score


def ials(train: Interactions, shape: tuple[int, int], settings: IalsSettings | None = None) -> Ials:
    """Fits implicit matrix factorisation by alternating least squares.

    Args:
        train: what to learn from, as taken or not taken.
        shape: numbers of users and of items.
        settings: None for those that score best here.
    """
    settings = settings or IalsSettings()
    user_count, item_count = shape
    of_users = Histories.of(user_count, train)
    swapped = Interactions(train.item_rows, train.user_rows, train.ratings, train.timestamps)
    of_items = Histories.of(item_count, swapped)
    random = np.random.default_rng(settings.seed)
    deviation = settings.deviation / settings.dimension**0.5
    items = random.normal(0, deviation, (item_count, settings.dimension))
    for _ in range(settings.iterations):
        users = _solve(items, [of_users[row] for row in range(user_count)], settings)
        items = _solve(users, [of_items[row] for row in range(item_count)], settings)
    return Ials(items, user_count, settings)


def _solve(
    others: NDArray[np.float64], taken_by: list[NDArray[np.int32]], settings: IalsSettings
) -> NDArray[np.float64]:
    """Solves for one vector a row, given the vectors of the other side: [rows, dimension]."""
    everything = settings.unobserved_weight * (others.T @ others)
    identity = np.eye(others.shape[1])
    solved = np.zeros((len(taken_by), others.shape[1]))
    for row, taken_rows in enumerate(taken_by):
        vectors = others[taken_rows]
        size = len(taken_rows) + settings.unobserved_weight * len(others)
        penalty = settings.penalty * size**settings.exponent
        left = vectors.T @ vectors + everything + penalty * identity
        solved[row] = np.linalg.solve(left, vectors.sum(axis=0))
    return solved
