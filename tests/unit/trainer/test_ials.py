"""iALS against its objective: every half-step must stand where the gradient is zero."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recserve_trainer.fit_configs import HistoryConfig
from recserve_trainer.learning.ials import (
    Columns,
    Confidences,
    RatingScale,
    fit_ials,
    regularisation,
    solve_rows,
)

USERS, ITEMS = 9, 13
CONFIG = HistoryConfig(ials_dimension=4, ials_iterations=3, ials_alpha=0.2, ials_l2=0.05)
NO_SIDE = np.empty((ITEMS, 0))


def confidences(seed: int = 0, share: float = 0.4) -> tuple[Confidences, np.ndarray]:
    random = np.random.default_rng(seed)
    dense = random.uniform(0.5, 1, (USERS, ITEMS)) * (random.random((USERS, ITEMS)) < share)
    dense[2] = dense[:, 5] = 0
    rows, columns = np.nonzero(dense)
    values = dense[rows, columns]
    shuffled = random.permutation(len(rows))
    arguments = (part[shuffled] for part in (rows.astype(np.int32), columns.astype(np.int32)))
    return Confidences.of(*arguments, values[shuffled], USERS), dense


def objective(users: np.ndarray, items: np.ndarray, dense: np.ndarray) -> float:
    """As the module tells it, over all pairs."""
    scores, is_taken = users @ items.T, dense > 0
    loss = (dense * (scores - 1) ** 2).sum() + CONFIG.ials_alpha * ((scores - is_taken) ** 2).sum()
    of_users = regularisation(is_taken.sum(axis=1), ITEMS, CONFIG)
    of_items = regularisation(dense.sum(axis=0), USERS, CONFIG)
    return float(loss + of_users @ (users**2).sum(axis=1) + of_items @ (items**2).sum(axis=1))


def test_after_the_last_step_no_user_vector_can_be_bettered() -> None:
    by_user, dense = confidences()
    factors = fit_ials(by_user, NO_SIDE, CONFIG)

    at_the_end = objective(factors.users, factors.items, dense)

    step = 1e-5
    for index in np.ndindex(factors.users.shape):
        there, back = factors.users.copy(), factors.users.copy()
        there[index] += step
        back[index] -= step
        slope = objective(there, factors.items, dense) - objective(back, factors.items, dense)
        assert slope / (2 * step) == pytest.approx(0, abs=1e-6)
        assert objective(there, factors.items, dense) > at_the_end


def test_every_half_step_lowers_the_objective() -> None:
    by_user, dense = confidences()
    rows = np.repeat(np.arange(USERS, dtype=np.int32), by_user.counts)
    by_item = Confidences.of(by_user.columns, rows, by_user.values, ITEMS)
    of_users = regularisation(by_user.counts, ITEMS, CONFIG)
    of_items = regularisation(by_item.sums(np.ones(USERS)), USERS, CONFIG)
    items = np.random.default_rng(1).normal(size=(ITEMS, 4))
    users = np.random.default_rng(2).normal(size=(USERS, 4))
    losses = [objective(users, items, dense)]
    for _ in range(4):
        users = solve_rows(by_user, Columns(items, np.ones(ITEMS)), of_users, CONFIG.ials_alpha)
        losses.append(objective(users, items, dense))
        items = solve_rows(by_item, Columns(users, np.ones(USERS)), of_items, CONFIG.ials_alpha)
        losses.append(objective(users, items, dense))

    assert (np.diff(losses) < 0).all()


def test_who_took_nothing_and_what_nobody_took_have_zeros() -> None:
    by_user, _ = confidences()

    factors = fit_ials(by_user, NO_SIDE, CONFIG)

    assert (factors.users[2] == 0).all()
    assert (factors.items[5] == 0).all()
    assert (np.abs(np.delete(factors.users, 2, axis=0)).max(axis=1) > 0).all()


def test_an_attribute_is_a_user_of_another_weight() -> None:
    by_user, dense = confidences()
    of_items = np.random.default_rng(3).random((ITEMS, 2)) < 0.5
    twice = replace(CONFIG, ials_side_weight=2)

    factors = fit_ials(by_user, of_items.astype(np.float64), twice)

    both = np.concatenate([dense, of_items.T, of_items.T])  # weighs twice, so is there twice
    rows, columns = np.nonzero(both)
    as_users = Confidences.of(
        rows.astype(np.int32), columns.astype(np.int32), both[rows, columns], len(both)
    )
    expected = fit_ials(as_users, NO_SIDE, CONFIG)
    assert factors.items == pytest.approx(expected.items)
    assert factors.users == pytest.approx(expected.users[:USERS])


def test_what_nobody_took_lies_with_what_shares_its_attributes() -> None:
    by_user, _ = confidences()
    of_items = np.zeros((ITEMS, 2))
    of_items[[5, 6, 7], 0] = of_items[[1, 2, 3], 1] = 1

    items = fit_ials(by_user, of_items, CONFIG).items

    alike, unlike = items[[6, 7]] @ items[5], items[[1, 2, 3]] @ items[5]
    assert alike.min() > unlike.max()


def test_the_seed_alone_decides_the_outcome() -> None:
    by_user, _ = confidences()

    first, again = fit_ials(by_user, NO_SIDE, CONFIG), fit_ials(by_user, NO_SIDE, CONFIG)
    other = fit_ials(by_user, NO_SIDE, replace(CONFIG, seed=7))

    assert (first.items == again.items).all()
    assert (first.items != other.items).any()


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_batches_hold_every_entry_once_and_nothing_else(seed: int, share: float) -> None:
    by_user, dense = confidences(seed, share)
    rebuilt = np.zeros_like(dense)

    for rows, columns, values in by_user.padded():
        assert columns.shape == values.shape
        for row, of_row, of_values in zip(rows, columns, values, strict=True):
            np.add.at(rebuilt[row], of_row, of_values)

    assert (rebuilt == dense).all()


def test_a_history_longer_than_a_batch_is_solved_all_the_same() -> None:
    many = 2**16 + 3
    by_user = Confidences(np.array([0, many]), np.arange(many, dtype=np.int32), np.ones(many))
    vectors = np.random.default_rng(0).normal(size=(many, 2))

    [solved] = solve_rows(by_user, Columns(vectors, np.ones(many)), np.ones(1), alpha=0.5)

    system = 1.5 * vectors.T @ vectors + np.eye(2)
    assert solved == pytest.approx(np.linalg.solve(system, 1.5 * vectors.sum(axis=0)))


def test_stars_have_the_confidence_that_was_measured_to_be_best() -> None:
    stars = np.array([1, 2, 3, 4, 5, np.nan, 0, 9], np.float32)

    found = RatingScale.of(stars[:5], least_confidence=0.6).confidence(stars)

    assert found == pytest.approx([0.6, 0.8, 1, 1, 1, 1, 0.6, 1])


@pytest.mark.parametrize("ratings", [[3, 3, 3], [np.nan, np.nan], []])
def test_ratings_that_do_not_vary_say_nothing(ratings: list[float]) -> None:
    scale = RatingScale.of(np.array(ratings, np.float32), least_confidence=0.6)

    assert scale.confidence(np.array([1, 3, np.nan], np.float32)).tolist() == [1, 1, 1]


@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=1), st.floats(0.01, 1))
def test_a_better_rating_is_never_less_sure(ratings: list[float], least: float) -> None:
    ordered = np.sort(np.array(ratings, np.float32))

    found = RatingScale.of(ordered, least).confidence(ordered)

    assert (np.diff(found) >= 0).all()
    assert found.min() >= least * (1 - 1e-12)
    assert found.max() <= 1
