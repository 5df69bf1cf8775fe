"""Neighbourhood baselines against their definitions, and SAR against its published digits."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recserve_trainer.datasets.movielens_archive import read_archive
from recserve_trainer.evaluation.metrics import rank, score_rankings
from recserve_trainer.evaluation.neighbours import item_knn, sar
from recserve_trainer.evaluation.protocols import stratified_split
from recserve_trainer.interactions import Histories, Interactions

DAY_S = 86_400
USERS, ITEMS = 7, 6
SHAPE = (USERS, ITEMS)
EVERYBODY = np.arange(USERS, dtype=np.int32)


@st.composite
def some_interactions(draw: st.DrawFn) -> Interactions:
    pair = st.tuples(st.integers(0, USERS - 1), st.integers(0, ITEMS - 1))
    pairs = draw(st.lists(pair, min_size=1, max_size=25, unique=True))
    random = np.random.default_rng(draw(st.integers(0, 1000)))
    users, items = np.array(pairs, np.int32).T
    return Interactions(
        users,
        items,
        random.integers(1, 6, len(pairs)).astype(np.float32),
        random.integers(0, 100 * DAY_S, len(pairs)),
    )


def users_of(train: Interactions) -> list[set[int]]:
    """Who took each item."""
    return [set(train.user_rows[train.item_rows == item].tolist()) for item in range(ITEMS)]


@given(some_interactions())
def test_sar_sums_ratings_that_have_faded_times_the_jaccard_of_items(train: Interactions) -> None:
    takers = users_of(train)
    now = train.timestamps.max()
    expected = np.zeros(SHAPE)
    for user, item, rating, second in zip(
        train.user_rows, train.item_rows, train.ratings, train.timestamps, strict=True
    ):
        for other in range(ITEMS):
            either = takers[item] | takers[other]
            jaccard = len(takers[item] & takers[other]) / len(either)
            days = (now - second) / DAY_S
            expected[user, other] += rating * 0.5 ** (days / 30) * jaccard

    scores = sar(train, SHAPE).scorer(train)(EVERYBODY)

    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-7)


def test_what_comes_after_training_has_not_faded() -> None:
    train = Interactions(*(np.array(column) for column in ([0, 1], [0, 0], [1.0, 1.0], [50, 100])))
    later = Interactions(*(np.array(column) for column in ([2], [0], [4.0], [10**9])))

    scores = sar(train, SHAPE).scorer(later)(np.array([2], np.int32))

    assert scores[0, 0] == pytest.approx(4.0)


@given(some_interactions(), st.integers(1, ITEMS + 2), st.sampled_from([0.0, 1.0, 10.0]))
def test_item_knn_sums_the_strongest_cosines_with_what_the_user_took(
    train: Interactions, neighbours: int, shrink: float
) -> None:
    takers = users_of(train)
    similarity = np.zeros((ITEMS, ITEMS))
    for item in range(ITEMS):
        for other in range(ITEMS):
            both = len(takers[item] & takers[other])
            if both and item != other:
                norm = np.sqrt(len(takers[item]) * len(takers[other]))
                similarity[item, other] = both / (norm + shrink)
    expected = np.zeros(SHAPE)
    for item in range(ITEMS):
        column = similarity[:, item]
        least = np.sort(column)[::-1][min(neighbours, ITEMS) - 1]
        for user, taken in zip(train.user_rows, train.item_rows, strict=True):
            # Of equals at the end all are kept.
            expected[user, item] += column[taken] if column[taken] >= least - 1e-12 else 0

    fitted = item_knn(train, SHAPE, neighbours=neighbours, shrink=shrink)

    np.testing.assert_allclose(fitted.scorer(train)(EVERYBODY), expected, rtol=1e-5, atol=1e-7)


def test_scores_are_for_the_users_asked_for_in_their_order() -> None:
    train = Interactions(
        *(np.array(column) for column in ([0, 0, 1, 1, 2], [0, 1, 0, 1, 0], [1.0] * 5, [1] * 5))
    )
    scorer = item_knn(train, (3, 2), shrink=0).scorer(train)

    assert scorer(np.array([2, 0], np.int32)).tolist() == scorer(EVERYBODY[:3])[[2, 0]].tolist()
    assert scorer(np.array([2], np.int32))[0, 1] > 0


@pytest.mark.parametrize(
    ("by", "published"),
    [
        ("item", {"map": 0.114038, "ndcg": 0.393819, "precision": 0.340615, "recall": 0.185377}),
        ("user", {"map": 0.106959, "ndcg": 0.379533, "precision": 0.331071, "recall": 0.176837}),
    ],
)
def test_sar_has_the_published_metrics_to_the_last_digit(
    movielens_archive: Path, by: str, published: dict[str, float]
) -> None:
    dataset = read_archive(movielens_archive)
    shape = len(dataset.users), len(dataset.items)
    split = stratified_split(dataset.interactions, by, seed=42)
    relevant, seen = (Histories.of(shape[0], part) for part in (split.test, split.train))
    users = np.flatnonzero(np.diff(relevant.offsets)).astype(np.int32)
    scorer = sar(split.train, shape).scorer(split.train)

    rankings = rank(scorer, users, seen, k=10, item_count=shape[1])

    found = score_rankings(rankings, relevant, k=10).by_name()
    means = {name: round(float(found[f"{name}@10"].mean()), 6) for name in published}
    assert means == published
