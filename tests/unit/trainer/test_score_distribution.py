import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recserve_trainer.artifact.score_distribution import PERCENTS, score_percentiles
from recserve_trainer.retrieval import Embeddings


def vectors(rows: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, 3)).astype(np.float32)


def test_percents_are_every_hundredth_and_finer_at_the_top() -> None:
    percents = [
        point.percent for point in score_percentiles(Embeddings(vectors(2, 0), vectors(3, 1)))
    ]

    assert percents[:3] == [0, 1, 2]
    assert percents[99:109] == [99, 99.1, 99.2, 99.3, 99.4, 99.5, 99.6, 99.7, 99.8, 99.9]
    assert percents[109:] == [99.91, 99.92, 99.93, 99.94, 99.95, 99.96, 99.97, 99.98, 99.99, 100]
    assert len(percents) == len(PERCENTS) == 119


def test_scores_are_the_quantiles_of_all_pairs_where_these_are_few() -> None:
    model = Embeddings(vectors(40, 0), vectors(70, 1))

    points = score_percentiles(model)

    scores = np.sort(model.score(np.arange(40)).ravel())
    assert points[0].score == pytest.approx(scores[0])
    assert points[-1].score == pytest.approx(scores[-1])
    for point in points:
        place = point.percent / 100 * (len(scores) - 1)
        low, high = scores[int(np.floor(place))], scores[int(np.ceil(place))]
        assert low - 1e-5 <= point.score <= high + 1e-5


def test_of_large_tables_first_and_last_rows_are_looked_at_and_a_sample_between() -> None:
    users, items = np.zeros((5000, 1), np.float32), np.ones((30_000, 1), np.float32)
    users[[0, -1], 0] = -7, 9
    users[1000:2000] = 2

    points = {point.percent: point.score for point in score_percentiles(Embeddings(users, items))}

    assert (points[0], points[100]) == (-7, 9)
    assert (points[50], points[90]) == (0, 2)


@given(st.integers(0, 2**16), st.integers(1, 9), st.integers(1, 9))
@settings(deadline=None, max_examples=50)
def test_both_ascend_whatever_the_scores(seed: int, users: int, items: int) -> None:
    model = Embeddings(np.round(vectors(users, seed)), np.round(vectors(items, seed + 1)))

    points = score_percentiles(model)

    assert (np.diff([point.percent for point in points]) > 0).all()
    assert (np.diff([point.score for point in points]) >= 0).all()
