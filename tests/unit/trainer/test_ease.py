"""EASE's matrix against what it is defined to be: a ridge regression for every item."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recserve_trainer.evaluation.linear_baselines import constrained_ridge
from recserve_trainer.fit_configs import HistoryConfig
from recserve_trainer.interactions import Interactions
from recserve_trainer.learning.ease import (
    item_item_matrix,
    sessions,
    user_weights,
)

USERS, ITEMS = 6, 5
PLAIN = HistoryConfig(ease_l2=2, user_weight_power=0, session_weight=0, ease_side_weight=0)
NO_SIDE = np.empty((ITEMS, 0))
ROWS = [(0, 0, 10), (0, 1, 20), (0, 2, 500), (1, 1, 0), (1, 2, 5), (2, 0, 7), (2, 3, 8), (2, 1, 99)]


def interactions(rows: list[tuple[int, int, int]]) -> Interactions:
    users, items, times = np.array(rows, np.int64).reshape(-1, 3).T
    ratings = np.ones(len(users), np.float32)
    return Interactions(users.astype(np.int32), items.astype(np.int32), ratings, times)


def dense() -> np.ndarray:
    taken = np.zeros((USERS, ITEMS))
    for user, item, _ in ROWS:
        taken[user, item] = 1
    return taken


@given(
    hnp.arrays(np.float64, st.tuples(st.integers(1, 7), st.integers(2, 6)), elements=st.just(1.0)),
    st.integers(0, 2**16),
    st.floats(0.1, 50),
)
def test_every_column_is_the_ridge_regression_of_its_item_on_the_others(
    ones: np.ndarray, seed: int, l2: float
) -> None:
    taken = ones * (np.random.default_rng(seed).random(ones.shape) < 0.5)

    matrix = constrained_ridge(taken.T @ taken, l2)

    assert (np.diag(matrix) == 0).all()
    for item in range(taken.shape[1]):
        others = np.delete(taken, item, axis=1)
        system = others.T @ others + l2 * np.eye(others.shape[1])
        expected = np.linalg.solve(system, others.T @ taken[:, item])
        assert np.delete(matrix[:, item], item) == pytest.approx(expected, abs=1e-9)


def test_without_weights_sessions_and_attributes_it_is_plain_ease() -> None:
    matrix = item_item_matrix(interactions(ROWS), NO_SIDE, USERS, PLAIN)

    assert matrix == pytest.approx(constrained_ridge(dense().T @ dense(), 2))


def test_sessions_attributes_and_light_users_add_to_the_gram_matrix() -> None:
    config = replace(
        PLAIN, user_weight_power=0.5, session_weight=3, session_gap_s=10, ease_side_weight=7
    )
    shared = np.array([[1, 0], [1, 1], [0, 1], [0, 1], [0, 0]], np.float64)

    matrix = item_item_matrix(interactions(ROWS), shared, USERS, config)

    weights = user_weights(dense().sum(axis=1), 0.5)
    together = np.zeros((3, ITEMS))  # of user 0, of user 1, of user 2; the rest came alone
    together[0, [0, 1]] = together[1, [1, 2]] = together[2, [0, 3]] = 1
    gram = dense().T @ np.diag(weights) @ dense()
    gram += 3 * 2**-0.5 * together.T @ together + 7 * shared @ shared.T
    assert matrix == pytest.approx(constrained_ridge(gram, 2))


def test_an_item_nobody_took_is_reached_by_its_attributes_alone() -> None:
    shared = np.array([[1, 0], [0, 1], [0, 1], [1, 0], [1, 0]], np.float64)
    config = replace(PLAIN, ease_side_weight=5)

    with_side = item_item_matrix(interactions(ROWS), shared, USERS, config)
    without = item_item_matrix(interactions(ROWS), NO_SIDE, USERS, config)

    assert with_side[0, 4] > max(0, with_side[2, 4])
    assert (without[:, 4] == 0).all()


@given(st.lists(st.integers(0, 400), min_size=1, max_size=20), st.floats(0, 2))
def test_weights_of_users_shift_weight_and_add_none(counts: list[int], power: float) -> None:
    taken = np.array(counts, np.float64)

    weights = user_weights(taken, power)

    assert weights @ taken == pytest.approx(taken.sum())
    assert (weights[taken == 0] == 0).all()
    by_count = weights[np.argsort(taken)]
    assert (np.diff(by_count[by_count > 0]) <= 1e-12).all()


def test_a_session_ends_with_its_user_or_after_a_longer_pause() -> None:
    rows = [(0, 4, 0), (0, 1, 60), (0, 2, 121), (0, 3, 150), (1, 0, 150), (1, 3, 151), (1, 3, 152)]

    found = sessions(interactions(rows[::-1]), gap_s=60)

    assert [found[row].tolist() for row in range(len(found))] == [[1, 4], [2, 3], [0, 3]]


@pytest.mark.parametrize("rows", [[], [(0, 0, 1), (0, 1, 50), (1, 1, 50)]])
def test_items_that_came_alone_make_no_session(rows: list[tuple[int, int, int]]) -> None:
    assert len(sessions(interactions(rows), gap_s=10)) == 0


def test_timestamps_that_never_change_make_no_session() -> None:
    still = interactions([(user, item, 5) for user, item, _ in ROWS])
    config = replace(PLAIN, session_weight=4)

    matrix = item_item_matrix(still, NO_SIDE, USERS, config)

    assert len(sessions(still, gap_s=60)) == 0
    assert matrix == pytest.approx(item_item_matrix(still, NO_SIDE, USERS, PLAIN))
