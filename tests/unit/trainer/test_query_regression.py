from dataclasses import dataclass

import numpy as np
import pytest
import tensorflow as tf

from recserve_trainer.fit_configs import CollaborativeConfig
from recserve_trainer.interactions import Interactions
from recserve_trainer.learning.query_regression import QueryRegression
from recserve_trainer.retrieval import QueryTower
from recserve_trainer.tables import UserTable, category_column

pytestmark = pytest.mark.tensorflow

USERS, ITEMS, LENGTH = 30, 12, 3
CONFIG = CollaborativeConfig(history_prior=2.0, query_l2=0.5)


@dataclass(frozen=True)
class Known:
    users: UserTable
    train: Interactions
    user_vectors: np.ndarray
    item_vectors: np.ndarray

    def regression(self) -> QueryRegression:
        return QueryRegression(self.users, self.train, CONFIG)

    def tower(self) -> QueryTower:
        return self.regression().fit(self.user_vectors, self.item_vectors)


def known(*, columns: bool = True, seed: int = 0) -> Known:
    """Users 0 to 27 take between 1 and 9 items, in an order that is not that of their rows."""
    random = np.random.default_rng(seed)
    taken = [
        (user, int(item), 1000 * place + user)
        for user in range(USERS - 2)
        for place, item in enumerate(random.permutation(ITEMS)[: 1 + user % 9])
    ]
    random.shuffle(taken)
    users, items, times = np.array(taken).T
    train = Interactions(
        users.astype(np.int32), items.astype(np.int32), np.ones(len(users), np.float32), times
    )
    jobs = {"job": category_column(["ab"[user % 2] for user in range(USERS)])} if columns else {}
    table = UserTable([str(user) for user in range(USERS)], jobs)
    vectors = random.normal(size=(USERS + ITEMS, LENGTH)).astype(np.float32)
    return Known(table, train, vectors[:USERS], vectors[USERS:])


def naive_rows(known: Known, prior: float) -> tuple[np.ndarray, np.ndarray]:
    """Every beginning of every history, as the docstring has it, one at a time."""
    rows, targets = [], []
    for user in range(USERS - 2):
        own = known.train.user_rows == user
        order = np.argsort(known.train.timestamps[own])
        history = known.train.item_rows[own][order]
        for count in sorted({*(n for n in (0, 1, 2, 3, 5, 8) if n < len(history)), len(history)}):
            pooled = known.item_vectors[history[:count]].sum(axis=0) / (count + prior)
            profile = [user % 2 == 0, user % 2 == 1]
            rows.append([*pooled, count / (count + prior), *profile, 1])
            targets.append(known.user_vectors[user])
    return np.array(rows, float), np.array(targets, float)


def test_the_tower_is_the_ridge_regression_on_beginnings_of_histories() -> None:
    given = known()
    tower = given.tower()
    assert [feature.vocabulary for feature in tower.features] == [("a", "b")]

    rows, targets = naive_rows(given, CONFIG.history_prior)
    penalty = np.diag([CONFIG.query_l2] * (rows.shape[1] - 1) + [0])
    weights = np.linalg.lstsq(rows.T @ rows + penalty, rows.T @ targets, rcond=None)[0]
    history = np.array([[0, 4], [0, 7], [1, 4]], np.int32)
    profiles = np.array([[1, 0], [0, 1], [0, 0]], np.float32)
    found = tower.embed(tf.constant(history), tf.fill([3], np.nan), tf.constant(profiles))

    prior, items = CONFIG.history_prior, given.item_vectors
    asked = np.array(
        [
            [*(items[4] + items[7]) / (2 + prior), 2 / (2 + prior), 1, 0, 1],
            [*items[4] / (1 + prior), 1 / (1 + prior), 0, 1, 1],
            [0, 0, 0, 0, 0, 0, 1],
        ]
    )
    assert found.numpy()[:, :-1] == pytest.approx(asked @ weights, abs=1e-4)
    assert found.numpy()[:, -1].tolist() == [1, 1, 1]


def test_users_without_interactions_are_embedded_by_profile_and_the_others_stay() -> None:
    given = known()
    tower = given.tower()
    vectors = np.ones((USERS, LENGTH + 1), np.float32)

    embedded = given.regression().embed_strangers(tower, vectors)

    assert (embedded[:-2] == 1).all()
    expected = given.regression().embed(tower, np.array([28, 29], np.int32))
    assert np.array_equal(embedded[-2:], expected)
    assert not np.allclose(expected[0], expected[1])  # their jobs differ


def test_without_attributes_history_alone_counts() -> None:
    tower = known(columns=False).tower()

    assert tuple(tower.features) == ()
    found = tower.embed(tf.constant([[0, 4]]), tf.constant([np.nan]), tf.zeros([2, 0])).numpy()
    assert np.isfinite(found).all()
    assert not np.allclose(found[0], found[1])
