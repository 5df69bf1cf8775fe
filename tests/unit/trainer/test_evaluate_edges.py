"""The ends of the ranges: too few items to fill a ranking, k past the catalogue, many users."""

from math import log2

import numpy as np
import pytest

from recserve_trainer.evaluation.metrics import RankingMetrics, evaluate
from recserve_trainer.interactions import Histories


def histories(items: list[list[int]]) -> Histories:
    offsets = np.cumsum([0, *map(len, items)]).astype(np.int64)
    return Histories(offsets, np.array([row for each in items for row in each], np.int32))


def evaluated(
    scores: np.ndarray, relevant: list[list[int]], seen: list[list[int]], k: int
) -> RankingMetrics:
    return evaluate(
        lambda users: scores[users],
        histories(relevant),
        histories(seen),
        k=k,
        item_count=scores.shape[1],
    )


def test_a_user_with_several_items_to_find_is_one_hit_but_a_share_of_recall() -> None:
    # User 0 ranks 0, 1 and finds 1 of {1, 2, 3}, at rank 2; user 1 ranks 3, 2 and finds both.
    scores = np.array([[9, 8, 7, 6], [1, 2, 3, 4]], np.float32)

    found = evaluated(scores, relevant=[[1, 2, 3], [2, 3]], seen=[[], []], k=2)

    best_of_two = 1 / log2(2) + 1 / log2(3)
    assert found.recall == pytest.approx((1 / 3 + 2 / 2) / 2)
    assert found.hit_rate == 1.0
    assert found.ndcg == pytest.approx(((1 / log2(3)) / best_of_two + 1) / 2)
    assert found.coverage == 1.0


def test_a_place_that_nothing_can_fill_recommends_nothing_not_the_last_item() -> None:
    # All but item 0 are seen: the ranking is item 0 and two empty places. One item of 4 is covered.
    scores = np.array([[1, 2, 3, 4]], np.float32)

    found = evaluated(scores, relevant=[[0]], seen=[[1, 2, 3]], k=3)

    assert found.coverage == 1 / 4
    assert (found.recall, found.ndcg) == (1.0, 1.0)


def test_a_k_above_the_catalogue_ranks_all_of_it_and_keeps_its_name() -> None:
    # Item 1, the one to find, comes last of 3 and is the best there could be at rank 1.
    scores = np.array([[3, 1, 2]], np.float32)

    found = evaluated(scores, relevant=[[1]], seen=[[]], k=10)

    assert found.recall == 1.0
    assert found.ndcg == pytest.approx((1 / log2(4)) / (1 / log2(2)))
    assert set(found.by_name()) == {"recall@10", "ndcg@10", "hit_rate@10", "coverage@10"}


def test_equal_scores_are_ranked_by_row_so_the_first_of_them_is_the_hit() -> None:
    # All four scores are equal: the two places go to items 0 and 1 whoever looks.
    scores = np.full((2, 4), 5, np.float32)

    found = evaluated(scores, relevant=[[0], [3]], seen=[[], []], k=2)

    assert found.hit_rate == 0.5
    assert found.ndcg == pytest.approx(0.5)
    assert found.coverage == 0.5


def test_many_users_at_once_are_the_mean_of_each_alone_with_their_own_items_seen() -> None:
    random = np.random.default_rng(0)
    user_count, item_count = 600, 12
    scores = random.integers(0, 4, (user_count, item_count)).astype(np.float32)
    drawn = [random.permutation(item_count).tolist() for _ in range(user_count)]
    relevant = [row[:2] if user % 5 else [] for user, row in enumerate(drawn)]
    seen = [row[2 : 2 + user % 7] for user, row in enumerate(drawn)]

    found = evaluated(scores, relevant, seen, k=3)

    alone = [
        evaluated(scores[[user]], [relevant[user]], [seen[user]], k=3)
        for user in range(user_count)
        if relevant[user]
    ]
    assert found.user_count == len(alone) == 480
    assert found.recall == pytest.approx(np.mean([each.recall for each in alone]))
    assert found.ndcg == pytest.approx(np.mean([each.ndcg for each in alone]))
    assert found.hit_rate == pytest.approx(np.mean([each.hit_rate for each in alone]))
