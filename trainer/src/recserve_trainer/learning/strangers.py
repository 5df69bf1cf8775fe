"""Vectors of users through a query tower, as a server would embed them."""

import numpy as np
from numpy.typing import NDArray

from recserve_trainer.features import encode
from recserve_trainer.interactions import Histories
from recserve_trainer.learning.query_regression import Known
from recserve_trainer.retrieval import QueryTower

_USERS_AT_ONCE = 8192


def embed_users(
    tower: QueryTower, known: Known, user_rows: NDArray[np.int32]
) -> NDArray[np.float32]:
    """Embeds users of the table by training history and profile: float32 [n, length]."""
    histories = Histories.of(len(known.users), known.train)
    profiles = encode(tower.features, known.users.columns, len(known.users))
    embedded = []
    for start in range(0, len(user_rows), _USERS_AT_ONCE):
        rows = user_rows[start : start + _USERS_AT_ONCE]
        history = histories.pairs(rows)
        no_ratings = np.full(len(history), np.nan, np.float32)
        embedded.append(np.asarray(tower.embed(history, no_ratings, profiles[rows])))
    return np.concatenate(embedded)


def embed_strangers(
    tower: QueryTower, known: Known, users: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Returns float32 [users, length]: as given, but users without interactions by the tower."""
    is_stranger = np.bincount(known.train.user_rows, minlength=len(users)) == 0
    strangers = np.flatnonzero(is_stranger).astype(np.int32)
    if not len(strangers):
        return users
    users = users.copy()
    users[strangers] = embed_users(tower, known, strangers)
    return users
