"""Metrics of given rankings, against plain Python."""

from math import log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recserve_trainer.evaluation.metrics import Rankings, rank, score_rankings
from recserve_trainer.interactions import Histories


def histories(items: list[list[int]]) -> Histories:
    offsets = np.cumsum([0, *map(len, items)]).astype(np.int64)
    return Histories(offsets, np.array([row for each in items for row in each], np.int32))


def naive(ranking: list[int], relevant: list[int], k: int) -> dict[str, float]:
    hits = [item in relevant for item in ranking]
    gain = sum(1 / log2(place + 2) for place, hit in enumerate(hits) if hit)
    best = sum(1 / log2(place + 2) for place in range(min(len(relevant), len(ranking))))
    precisions = [sum(hits[: place + 1]) / (place + 1) for place, hit in enumerate(hits) if hit]
    return {
        f"ndcg@{k}": gain / best,
        f"recall@{k}": sum(hits) / len(relevant),
        f"precision@{k}": sum(hits) / k,
        f"map@{k}": sum(precisions) / len(relevant),
    }


@st.composite
def cases(draw: st.DrawFn) -> tuple[int, list[list[int]], list[list[int]]]:
    k, users = draw(st.integers(1, 6)), draw(st.integers(1, 5))
    rankings, relevant = [], []
    for _ in range(users):
        found = draw(st.permutations(range(9)))[: draw(st.integers(0, k))]
        rankings.append([*found, *[-1] * (k - len(found))])
        relevant.append(sorted(draw(st.sets(st.integers(0, 8), min_size=1, max_size=9))))
    return k, rankings, relevant


@given(cases())
def test_each_users_metrics_are_those_worked_out_place_by_place(
    case: tuple[int, list[list[int]], list[list[int]]],
) -> None:
    k, rankings, relevant = case
    users = np.arange(len(rankings), dtype=np.int32)

    found = score_rankings(Rankings(users, np.array(rankings)), histories(relevant), k=k)

    for user, (ranking, wanted) in enumerate(zip(rankings, relevant, strict=True)):
        of_user = {name: values[user] for name, values in found.by_name().items()}
        assert of_user == pytest.approx(naive(ranking, wanted, k))


def test_average_precision_is_divided_by_all_that_is_relevant_also_above_k() -> None:
    # Two places, both hits, four relevant: (1/1 + 2/2) / 4, where min(k, relevant) would give 1.
    found = score_rankings(
        Rankings(np.array([0], np.int32), np.array([[3, 1]])), histories([[0, 1, 2, 3]]), k=2
    )

    assert found.average_precision.tolist() == [0.5]
    assert found.precision.tolist() == [1.0]


def test_rankings_of_some_users_are_scored_against_those_users_items() -> None:
    relevant = histories([[0], [1], [2]])

    found = score_rankings(
        Rankings(np.array([2, 0], np.int32), np.array([[2], [2]])), relevant, k=1
    )

    assert found.user_rows.tolist() == [2, 0]
    assert found.recall.tolist() == [1.0, 0.0]


def test_users_are_ranked_in_the_order_asked_for_without_what_is_excluded_for_each() -> None:
    scores = np.array([[1, 2, 3], [3, 2, 1]], np.float32)

    found = rank(
        lambda users: scores[users],
        np.array([1, 0], np.int32),
        histories([[2], [0, 1]]),
        k=2,
        item_count=3,
    )

    assert found.user_rows.tolist() == [1, 0]
    assert found.item_rows.tolist() == [[2, -1], [1, 0]]
