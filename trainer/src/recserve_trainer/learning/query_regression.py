"""A query tower for users that training never saw, learnt from those it did.

A user's vector is regressed on the beginning of the user's history and on the profile. The first
interactions, not random ones: that is what is known of a new user, and what people take first
differs from what they take later. Measured on MovieLens 100K, 189 users held out, ten interactions
known: nDCG@10 .49 so, .36 with random ones, .40 for popularity (docs/quality.md).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recserve_trainer.features import encode, fit_features
from recserve_trainer.fit_configs import CollaborativeConfig
from recserve_trainer.interactions import Histories, Interactions, entries_of
from recserve_trainer.learning.attribute_mapping import NormalEquations
from recserve_trainer.learning.item_tower import history_rows
from recserve_trainer.learning.pooled_query import PooledQueryTower
from recserve_trainer.retrieval import QueryTower
from recserve_trainer.tables import UserTable

_LENGTHS: Final = (0, 1, 2, 3, 5, 8, 12, 20, 40)
"""Of the histories learnt from, beside the whole one; shorter users are left out."""
_MOST_USERS: Final = 50_000
"""Users learnt from: many more than there are weights to learn."""
_USERS_AT_ONCE: Final = 8192


@dataclass(frozen=True, slots=True)
class QueryWeights:
    """What a regression found, in the terms of `QueryRegression`."""

    history: NDArray[np.float32]
    """[item dimension + 1, query dimension]: A, and below it a."""
    profile: NDArray[np.float32]
    """[sum of the features' widths, query dimension]: B."""
    start: NDArray[np.float32]
    """[query dimension]: c."""


class QueryRegression:
    """Histories and profiles of the training users, to be fitted to their vectors again and again.

    query = sum of item vectors / (n + prior) @ A + n / (n + prior) * a + profile @ B + c
    """

    def __init__(self, users: UserTable, train: Interactions, config: CollaborativeConfig) -> None:
        """Gathers what does not change while vectors are learnt."""
        self._config = config
        self._known = np.unique(train.user_rows)
        self._features = fit_features(users.columns, self._known)
        self._profiles = encode(self._features, users.columns, len(users))
        self._histories = Histories.of(len(users), train)
        order = np.lexsort((train.item_rows, train.timestamps, train.user_rows))
        self._item_rows = train.item_rows[order]
        """Of all interactions, user by user and in the order of time."""
        counts = np.bincount(train.user_rows, minlength=len(users))
        self._offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    def fit(
        self, user_vectors: NDArray[np.float32], item_vectors: NDArray[np.float32]
    ) -> PooledQueryTower:
        """Regresses user vectors on beginnings of histories and on profiles.

        Args:
            user_vectors: [users, length]; only rows with training interactions are looked at.
            item_vectors: [items, length], as items count in a history.
        """
        return self.tower(self.weights(user_vectors, item_vectors), item_vectors)

    def weights(
        self, user_vectors: NDArray[np.float32], item_vectors: NDArray[np.float32]
    ) -> QueryWeights:
        """Returns what the tower of `fit` is made of; arguments as there."""
        length, width = item_vectors.shape[1], self._profiles.shape[1]
        equations = NormalEquations(length + 1 + width, user_vectors.shape[1])
        step = max(1, -(-len(self._known) // _MOST_USERS))
        learnt_from = self._known[::step]
        for start in range(0, len(learnt_from), _USERS_AT_ONCE):
            users = learnt_from[start : start + _USERS_AT_ONCE]
            for place, beginnings in self._beginnings(users, item_vectors):
                profiles = self._profiles[users[place]]
                rows = np.concatenate([beginnings, profiles], axis=1)
                equations.add(rows, user_vectors[users[place]])
        weights = equations.solve(self._config.query_l2).astype(np.float32)
        return QueryWeights(weights[: length + 1], weights[length + 1 : -1], weights[-1])

    def tower(self, weights: QueryWeights, item_vectors: NDArray[np.float32]) -> PooledQueryTower:
        """Makes the tower of what was found; `item_vectors` as of `fit`."""
        return PooledQueryTower(
            self._features,
            history_rows(item_vectors, weights.history),
            (weights.profile, weights.start),
            self._config.history_prior,
        )

    def _beginnings(
        self, users: NDArray[np.int32], item_vectors: NDArray[np.float32]
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float64]]]:
        """Yields for each length the places in `users` of those with a history longer than that.

        Yields:
            Places [n], and what is known of these users, float64 [n, length + 1]: the pooled
            vectors of the first items, and how much they count. Last, whole histories of all.
        """
        positions, entries = entries_of(self._offsets, users)
        counts = np.bincount(positions, minlength=len(users))
        starts = np.cumsum(counts) - counts
        summed = np.cumsum(item_vectors[self._item_rows[entries]], axis=0, dtype=np.float64)
        sums = np.concatenate([np.zeros((1, item_vectors.shape[1])), summed])
        for length in (*_LENGTHS, None):
            longer = counts > length if length is not None else counts > 0
            place = np.flatnonzero(longer)
            taken = counts[place] if length is None else np.full(len(place), length)
            shares = 1 / (taken + self._config.history_prior)
            pooled = sums[starts[place] + taken] - sums[starts[place]]
            yield place, np.column_stack([pooled * shares[:, None], taken * shares])

    def embed(self, tower: QueryTower, user_rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Embeds users of the table by training history and profile, as a server would.

        Returns:
            float32 [n, length].
        """
        embedded = []
        for start in range(0, len(user_rows), _USERS_AT_ONCE):
            rows = user_rows[start : start + _USERS_AT_ONCE]
            history = self._histories.pairs(rows)
            no_ratings = np.full(len(history), np.nan, np.float32)
            embedded.append(np.asarray(tower.embed(history, no_ratings, self._profiles[rows])))
        return np.concatenate(embedded)

    def embed_strangers(self, tower: QueryTower, users: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns float32 [users, length] as given, but users without interactions by the tower."""
        strangers = np.setdiff1d(np.arange(len(users), dtype=np.int32), self._known)
        if not len(strangers):
            return users
        users = users.copy()
        users[strangers] = self.embed(tower, strangers)
        return users
