import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recserve_trainer.evaluation.metrics import Rankings, score_rankings
from recserve_trainer.evaluation.precision_recall import precision_recall
from recserve_trainer.interactions import Histories

ITEMS = 12


def histories(sets: list[set[int]]) -> Histories:
    offsets = np.cumsum([0, *(len(items) for items in sets)])
    rows = [item for items in sets for item in sorted(items)]
    return Histories(offsets, np.array(rows, np.int32))


def rankings(rows: list[list[int]]) -> Rankings:
    return Rankings(np.arange(len(rows), dtype=np.int32), np.array(rows, np.int32))


@st.composite
def ranked_users(draw: st.DrawFn) -> tuple[list[list[int]], list[set[int]]]:
    length = draw(st.integers(1, ITEMS))
    rows, relevant = [], []
    for _ in range(draw(st.integers(1, 5))):
        filled = draw(st.integers(0, length))
        row = draw(st.permutations(range(ITEMS)))[:filled]
        rows.append([*row, *[-1] * (length - filled)])
        relevant.append(draw(st.sets(st.integers(0, ITEMS - 1), min_size=1)))
    return rows, relevant


@given(ranked_users())
def test_every_point_is_what_counting_by_hand_gives(
    users: tuple[list[list[int]], list[set[int]]],
) -> None:
    rows, relevant = users

    found = precision_recall(rankings(rows), histories(relevant))

    for k in range(1, len(rows[0]) + 1):
        hits = [
            sum(item in wanted for item in row[:k])
            for row, wanted in zip(rows, relevant, strict=True)
        ]
        precisions = [count / k for count in hits]
        recalls = [count / len(wanted) for count, wanted in zip(hits, relevant, strict=True)]
        assert found.precision[k - 1] == pytest.approx(sum(precisions) / len(rows))
        assert found.recall[k - 1] == pytest.approx(sum(recalls) / len(rows))


@given(ranked_users())
def test_recall_never_falls_as_lists_grow(users: tuple[list[list[int]], list[set[int]]]) -> None:
    rows, relevant = users

    recall = precision_recall(rankings(rows), histories(relevant)).recall

    assert (np.diff(recall) >= -1e-12).all()


def test_the_point_at_k_is_the_metric_at_k() -> None:
    random = np.random.default_rng(3)
    ranked = rankings([random.permutation(ITEMS).tolist() for _ in range(7)])
    relevant = histories([{int(random.integers(ITEMS)), 3} for _ in range(7)])

    found = precision_recall(ranked, relevant)

    at_4 = score_rankings(Rankings(ranked.user_rows, ranked.item_rows[:, :4]), relevant, k=4)
    assert found.precision[3] == pytest.approx(at_4.precision.mean())
    assert found.recall[3] == pytest.approx(at_4.recall.mean())


def test_users_of_the_ranking_are_found_by_their_rows() -> None:
    relevant = histories([{0}, set(), {1, 2}])
    only_the_third = Rankings(np.array([2], np.int32), np.array([[1, 0, 2]], np.int32))

    found = precision_recall(only_the_third, relevant)

    assert found.precision.tolist() == pytest.approx([1, 1 / 2, 2 / 3])
    assert found.recall.tolist() == [0.5, 0.5, 1]
