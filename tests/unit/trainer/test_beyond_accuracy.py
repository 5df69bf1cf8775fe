"""What rankings are like: coverage, novelty, diversity, exposure and calibration."""

from itertools import pairwise
from math import log, log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recserve_trainer.evaluation.beyond_accuracy import (
    Catalogue,
    attribute_matrix,
    beyond_accuracy,
    by_activity,
    gini,
)
from recserve_trainer.evaluation.metrics import Rankings, UserMetrics
from recserve_trainer.interactions import Histories
from recserve_trainer.tables import category_column

# Genres: war and love. Items 0 and 1 are war, 2 is love, 3 is both, 4 is neither.
ATTRIBUTES = np.array([[1, 0], [1, 0], [0, 1], [1, 1], [0, 0]], np.float32)
CATALOGUE = Catalogue(np.array([8, 4, 2, 2, 0]), ATTRIBUTES)


def histories(items: list[list[int]]) -> Histories:
    offsets = np.cumsum([0, *map(len, items)]).astype(np.int64)
    return Histories(offsets, np.array([row for each in items for row in each], np.int32))


def rankings(*rows: list[int]) -> Rankings:
    return Rankings(np.arange(len(rows), dtype=np.int32), np.array(rows, np.int32))


def test_coverage_novelty_and_popularity_are_worked_out_by_hand() -> None:
    found = beyond_accuracy(rankings([0, 4], [0, -1]), histories([[1], [1]]), CATALOGUE)

    # Items 0 and 4 of 5. Shares 8/16, 8/16 and, counted as one interaction, 1/16.
    assert found.coverage == pytest.approx(2 / 5)
    assert found.novelty == pytest.approx((1 + 1 + log2(16)) / 3)
    assert found.popularity == pytest.approx((8 + 8 + 0) / 3)


def test_a_list_is_as_diverse_as_its_pairs_are_different() -> None:
    # Pairs of the first: 0-1 the same, 0-3 and 1-3 with cosine 1/sqrt 2. Of the second: no overlap.
    found = beyond_accuracy(rankings([0, 1, 3], [0, 2, -1]), histories([[0], [0]]), CATALOGUE)

    first = 1 - (1 + 2 / 2**0.5) / 3
    assert found.diversity == pytest.approx((first + 1) / 2)


def test_a_list_like_the_history_is_calibrated_and_one_unlike_it_is_not() -> None:
    alike = beyond_accuracy(rankings([0, 2]), histories([[1, 2]]), CATALOGUE)
    unlike = beyond_accuracy(rankings([0, 1]), histories([[1, 2]]), CATALOGUE)

    # Half war, half love is wanted; all war is given, smoothed with 1 % of what is wanted.
    expected = 0.5 * log(0.5 / (0.99 + 0.005)) + 0.5 * log(0.5 / 0.005)
    assert alike.miscalibration == pytest.approx(0, abs=1e-12)
    assert unlike.miscalibration == pytest.approx(expected)


def test_an_item_of_two_genres_counts_half_for_each() -> None:
    found = beyond_accuracy(rankings([0, 2]), histories([[3]]), CATALOGUE)

    assert found.miscalibration == pytest.approx(0, abs=1e-12)


def test_without_attributes_what_needs_them_is_not_a_number() -> None:
    bare = Catalogue(CATALOGUE.train_counts, attribute_matrix(None))

    found = beyond_accuracy(rankings([0, 1]), histories([[0]]), bare)

    assert np.isnan([found.diversity, found.miscalibration]).all()
    assert found.coverage == pytest.approx(2 / 5)


def test_attributes_become_a_matrix_in_the_order_of_their_names() -> None:
    several = attribute_matrix(category_column([["b", "a"], [], ["b"]]))
    single = attribute_matrix(category_column(["y", None, "x"]))

    assert several.tolist() == [[1, 1], [0, 0], [0, 1]]
    assert single.tolist() == [[0, 1], [0, 0], [1, 0]]


@given(st.lists(st.integers(0, 50), min_size=1, max_size=12).filter(any))
def test_gini_is_half_the_mean_difference_of_all_pairs_over_the_mean(counts: list[int]) -> None:
    values = np.array(counts)
    differences = np.abs(values[:, np.newaxis] - values).mean()

    assert gini(values) == pytest.approx(differences / (2 * values.mean()), abs=1e-12)


def metrics_of(ndcg: list[float]) -> UserMetrics:
    values = np.array(ndcg)
    return UserMetrics(1, np.arange(len(ndcg), dtype=np.int32), values, values, values, values)


def test_users_are_parted_at_the_quartiles_of_what_is_known_of_them() -> None:
    known = histories([[0], [0, 1], [0, 1, 2], [0, 1, 2, 3]])

    groups = by_activity(metrics_of([0.1, 0.2, 0.3, 0.4]), known)

    assert [(group.fewest, group.most) for group in groups] == [(1, 1), (2, 2), (3, 3), (4, 4)]
    assert [group.metrics["ndcg@1"] for group in groups] == [0.1, 0.2, 0.3, 0.4]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_users_of_equal_activity_are_in_one_group_and_nobody_is_lost(activity: list[int]) -> None:
    known = histories([list(range(count)) for count in activity])
    values = [float(user) for user in range(len(activity))]

    groups = by_activity(metrics_of(values), known)

    assert sum(group.user_count for group in groups) == len(activity)
    for before, after in pairwise(groups):
        assert before.most < after.fewest
    total = sum(group.user_count * group.metrics["ndcg@1"] for group in groups)
    assert total == pytest.approx(sum(values))
