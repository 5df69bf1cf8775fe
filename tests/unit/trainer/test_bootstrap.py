"""Intervals over users."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recserve_trainer.evaluation.bootstrap import (
    difference_interval,
    difference_intervals,
    mean_interval,
    mean_intervals,
)

VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=40)


def test_the_interval_is_that_of_means_of_redrawn_users() -> None:
    values = np.random.default_rng(1).random(60)
    random = np.random.default_rng(2)
    means = [random.choice(values, 60).mean() for _ in range(20_000)]

    found = mean_interval(values, seed=0)

    assert found.mean == pytest.approx(values.mean())
    assert found.low == pytest.approx(np.quantile(means, 0.025), abs=0.005)
    assert found.high == pytest.approx(np.quantile(means, 0.975), abs=0.005)


def test_about_95_of_100_intervals_hold_the_true_mean() -> None:
    random = np.random.default_rng(3)
    holds = 0
    for _ in range(200):
        found = mean_interval(random.normal(0.5, 0.2, 100), seed=0, draws=400)
        holds += found.low <= 0.5 <= found.high

    assert 180 <= holds <= 198


def test_pairing_sees_a_difference_that_is_small_beside_the_spread_of_users() -> None:
    random = np.random.default_rng(4)
    others = random.random(200)
    values = others + 0.01 + random.normal(0, 0.005, 200)

    paired = difference_interval(values, others, seed=0)

    assert paired.low > 0
    assert mean_interval(values, seed=0).low < others.mean()


@given(VALUES, st.integers(0, 3))
def test_the_interval_is_the_same_again_and_lies_within_the_values(
    values: list[float], seed: int
) -> None:
    found = mean_interval(np.array(values), seed=seed, draws=50)

    assert found == mean_interval(np.array(values), seed=seed, draws=50)
    assert min(values) - 1e-9 <= found.low <= found.high <= max(values) + 1e-9


@given(VALUES)
def test_a_model_does_not_differ_from_itself(values: list[float]) -> None:
    found = difference_interval(np.array(values), np.array(values), seed=0, draws=20)

    assert (found.mean, found.low, found.high) == (0, 0, 0)


def test_other_users_cannot_be_paired() -> None:
    with pytest.raises(ValueError, match="3 users cannot be paired with 2"):
        difference_interval(np.zeros(3), np.zeros(2), seed=0)


def test_other_metrics_cannot_be_paired() -> None:
    with pytest.raises(ValueError, match="ndcg cannot be paired with recall"):
        difference_intervals({"ndcg": np.zeros(3)}, {"recall": np.zeros(3)}, seed=0)


def test_several_means_have_the_intervals_that_each_has_alone() -> None:
    random = np.random.default_rng(5)
    values = {"ndcg": random.random(30), "recall": random.random(30)}

    found = mean_intervals(values, seed=1, draws=300)

    for name, of in values.items():
        alone = mean_interval(of, seed=1, draws=300)
        assert found[name].low == pytest.approx(alone.low)
        assert found[name].high == pytest.approx(alone.high)
