"""EASE and implicit ALS, held against what they minimise."""

import numpy as np
import pytest

from recserve_trainer.evaluation.baselines import BASELINES, content_popularity
from recserve_trainer.evaluation.linear_baselines import IalsSettings, ease, ials
from recserve_trainer.interactions import Dataset, Interactions
from recserve_trainer.tables import Column, ItemTable, UserTable, category_column, number_column

USERS, ITEMS = 20, 9
SHAPE = (USERS, ITEMS)
EVERYBODY = np.arange(USERS, dtype=np.int32)


def train_of(seed: int = 0) -> tuple[Interactions, np.ndarray]:
    """Returns interactions and the same as a matrix of zeros and ones."""
    random = np.random.default_rng(seed)
    matrix = random.random(SHAPE) < 0.4
    users, items = np.nonzero(matrix)
    ones = np.ones(len(users), np.float32)
    train = Interactions(
        users.astype(np.int32), items.astype(np.int32), ones, np.arange(len(users))
    )
    return train, matrix.astype(np.float64)


def test_ease_is_the_ridge_regression_of_each_item_on_all_others() -> None:
    train, matrix = train_of()
    expected = np.zeros((ITEMS, ITEMS))
    for item in range(ITEMS):
        others = [other for other in range(ITEMS) if other != item]
        inputs = matrix[:, others]
        normal = inputs.T @ inputs + 3 * np.eye(ITEMS - 1)
        expected[others, item] = np.linalg.solve(normal, inputs.T @ matrix[:, item])

    fitted = ease(train, SHAPE, penalty=3)

    np.testing.assert_allclose(fitted.weights, expected, atol=1e-6)
    np.testing.assert_allclose(fitted.scorer(train)(EVERYBODY), matrix @ expected, atol=1e-5)


def ials_loss(users: np.ndarray, items: np.ndarray, matrix: np.ndarray, s: IalsSettings) -> float:
    scores = users @ items.T
    weights = s.penalty * (matrix.sum(axis=1) + s.unobserved_weight * ITEMS) ** s.exponent
    item_weights = s.penalty * (matrix.sum(axis=0) + s.unobserved_weight * USERS) ** s.exponent
    return float(
        (matrix * (1 - scores) ** 2).sum()
        + s.unobserved_weight * (scores**2).sum()
        + (weights * (users**2).sum(axis=1)).sum()
        + (item_weights * (items**2).sum(axis=1)).sum()
    )


def test_the_vector_of_a_user_is_where_the_loss_of_ials_is_flat() -> None:
    train, matrix = train_of()
    settings = IalsSettings(dimension=4, iterations=3, exponent=0.7, penalty=0.5)
    fitted = ials(train, SHAPE, settings)
    scores = fitted.scorer(train)(EVERYBODY).astype(np.float64)
    users = np.linalg.lstsq(fitted.items, scores.T, rcond=None)[0].T

    best = ials_loss(users, fitted.items, matrix, settings)

    random = np.random.default_rng(0)
    for _ in range(20):
        moved = users + random.normal(0, 0.01, users.shape)
        assert ials_loss(moved, fitted.items, matrix, settings) > best


def test_more_iterations_of_ials_lower_its_loss() -> None:
    train, matrix = train_of()
    losses = []
    for iterations in (1, 3, 9):
        settings = IalsSettings(dimension=4, iterations=iterations)
        fitted = ials(train, SHAPE, settings)
        scores = fitted.scorer(train)(EVERYBODY).astype(np.float64)
        users = np.linalg.lstsq(fitted.items, scores.T, rcond=None)[0].T
        losses.append(ials_loss(users, fitted.items, matrix, settings))

    assert losses[0] > losses[1] > losses[2]


def test_ials_is_the_same_again_with_the_same_seed() -> None:
    train, _ = train_of()

    first, again, other = (
        ials(train, SHAPE, IalsSettings(dimension=4, seed=seed)).items for seed in (1, 1, 2)
    )

    assert (first == again).all()
    assert not np.allclose(first, other)


def films(columns: dict[str, Column]) -> ItemTable:
    return ItemTable([str(row) for row in range(4)], ["A film"] * 4, columns)


def taken(*counts: int) -> Interactions:
    items = np.repeat(np.arange(len(counts)), counts).astype(np.int32)
    return Interactions(np.arange(len(items)), items, np.ones(len(items)), np.arange(len(items)))


def test_a_new_item_is_as_popular_as_the_items_that_share_its_genres() -> None:
    genres = category_column([["war"], ["war", "love"], ["love"], ["war", "love"]])

    scores = content_popularity(films({"genres": genres}), taken(8, 4, 2, 0))

    # war: the mean of 8 and 4; love: the mean of 4 and 2. The last item is not counted itself.
    assert scores.tolist() == pytest.approx([6, 4.5, 3, 4.5])


def test_numbers_count_by_their_tenth_and_attributes_alike() -> None:
    year = number_column([1950, 1990, None, 1990])
    kind = category_column(["a", "a", "b", None])

    scores = content_popularity(films({"year": year, "kind": kind}), taken(2, 6, 4, 0))

    # 1950: 2; 1990: 6; a year not known: the mean of all, 4. a: 4; b: 4; no kind: 4.
    assert scores.tolist() == pytest.approx([(2 + 4) / 2, (6 + 4) / 2, (4 + 4) / 2, (6 + 4) / 2])


def test_all_baselines_score_all_items_for_users_that_training_has_not_seen() -> None:
    train, _ = train_of()
    known = train.take(np.flatnonzero(train.user_rows == 3))
    rest = train.take(np.flatnonzero(train.user_rows != 3))
    ids = [str(row) for row in range(USERS)]
    items = ItemTable(ids[:ITEMS], ids[:ITEMS], {"genres": category_column([["a"]] * ITEMS)})
    dataset = Dataset("d", "1", UserTable(ids), items, train)

    for name, fit in BASELINES.items():
        scores = fit(dataset, rest).scorer(known)(np.array([3, 3], np.int32))
        assert scores.shape == (2, ITEMS), name
        assert scores.dtype == np.float32
        assert (scores[0] == scores[1]).all()
        assert np.isfinite(scores).all()
        assert name == "content-popularity" or np.ptp(scores) > 0
