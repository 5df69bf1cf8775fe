from math import log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recserve_trainer.evaluation.metrics import evaluate, score_ranking, top_k, users_per_chunk
from recserve_trainer.interactions import Histories


def histories(items: list[list[int]]) -> Histories:
    offsets = np.cumsum([0, *map(len, items)]).astype(np.int64)
    return Histories(offsets, np.array([row for each in items for row in each], np.int32))


def array(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def test_recall_and_ndcg_of_a_list_worked_out_by_hand() -> None:
    # Hits at ranks 1 and 3 of 4; three items could have been found.
    recall, ndcg = score_ranking(array(7, 5, 8, 6), array(7, 8, 9))

    gain = 1 / log2(2) + 1 / log2(4)
    best = 1 / log2(2) + 1 / log2(3) + 1 / log2(4)
    assert recall == pytest.approx(2 / 3)
    assert ndcg == pytest.approx(gain / best)


def test_the_ideal_list_is_no_longer_than_k() -> None:
    # Two places, both hits, though five items are relevant: as good as it gets.
    recall, ndcg = score_ranking(array(1, 2), array(1, 2, 3, 4, 5))

    assert (recall, ndcg) == (pytest.approx(2 / 5), pytest.approx(1.0))


def test_places_left_empty_are_no_hits() -> None:
    assert score_ranking(array(-1, -1), array(0)) == (0.0, 0.0)


def test_a_whole_evaluation_worked_out_by_hand() -> None:
    scores = np.array([[9, 8, 7, 6], [1, 2, 3, 4], [5, 5, 5, 5]], np.float32)
    seen = histories([[0], [], [1]])
    relevant = histories([[1], [0], []])

    found = evaluate(lambda users: scores[users], relevant, seen, k=2, item_count=4)

    # User 0 ranks 1, 2 (0 is seen): a hit at rank 1. User 1 ranks 3, 2: none. User 2 has nothing
    # to find and does not count. Items 1, 2 and 3 of 4 are recommended.
    assert found.user_count == 2
    assert found.recall == pytest.approx(0.5)
    assert found.ndcg == pytest.approx(0.5)
    assert found.hit_rate == pytest.approx(0.5)
    assert found.coverage == pytest.approx(0.75)
    assert found.by_name()["ndcg@2"] == found.ndcg


def test_chunks_of_users_do_not_change_the_result() -> None:
    random = np.random.default_rng(0)
    scores = random.normal(size=(700, 12)).astype(np.float32)
    relevant = histories([[int(random.integers(12))] for _ in range(700)])
    seen = histories([[] for _ in range(700)])

    found = evaluate(lambda users: scores[users], relevant, seen, k=3, item_count=12)

    hits = [relevant[user][0] in np.argsort(-scores[user])[:3] for user in range(700)]
    assert found.recall == pytest.approx(np.mean(hits))


@pytest.mark.parametrize(("item_count", "users"), [(1682, 256), (1_000_000, 33), (10**9, 1)])
def test_so_many_users_are_scored_at_once_that_their_scores_fit_memory(
    item_count: int, users: int
) -> None:
    assert users_per_chunk(item_count) == users


def test_scores_of_the_scorer_are_not_overwritten() -> None:
    scores = np.ones((1, 3), np.float32)

    evaluate(lambda users: scores, histories([[0]]), histories([[1]]), k=1, item_count=3)

    assert (scores == 1).all()


VALUES = st.sampled_from([0.0, 1.0, 2.0, float("-inf")])


@given(st.lists(VALUES, min_size=1, max_size=12), st.integers(1, 15))
def test_top_k_is_a_stable_sort_of_what_may_be_ranked(values: list[float], k: int) -> None:
    eligible = [column for column, value in enumerate(values) if value > float("-inf")]
    expected = sorted(eligible, key=lambda column: (-values[column], column))[:k]

    [ranked] = top_k(np.array([values], np.float32), k)

    padding = [-1] * (min(k, len(values)) - len(expected))
    assert ranked.tolist() == expected + padding
