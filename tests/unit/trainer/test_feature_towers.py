"""What the joint towers are made of: ids, draws of histories, encoded rows."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from recserve_trainer.features import encode
from recserve_trainer.fit_configs import HistorySoftmaxConfig
from recserve_trainer.interactions import Histories, Interactions
from recserve_trainer.learning.feature_rows import FeatureRows, item_columns
from recserve_trainer.learning.feature_towers import Ids, IdVectors
from recserve_trainer.learning.history_draws import HistoryDraws
from recserve_trainer.learning.towers import Vocabulary
from recserve_trainer.tables import ItemTable, category_column, number_column

pytestmark = pytest.mark.tensorflow


def test_dropped_ids_and_unknown_ids_have_no_vector_of_their_own() -> None:
    vocabulary = Vocabulary(np.array([0, 2], np.int32), 3)
    table = tf.constant([[1.0, 2.0], [3.0, 4.0]])
    rows = tf.constant([2, 1, 0, 2])
    full = [[3, 4], [0, 0], [1, 2], [3, 4]]

    for dropout, in_training in ((0.0, full), (1.0, np.zeros((4, 2)))):
        vectors = IdVectors(Ids(vocabulary, 3, dropout), table)

        assert vectors(rows, is_training=False).numpy().tolist() == full
        assert np.array_equal(vectors(rows, is_training=True), in_training)


def test_some_ids_are_dropped_as_a_whole_and_the_others_are_not_scaled() -> None:
    vocabulary = Vocabulary(np.arange(2000, dtype=np.int32), 2000)
    vectors = IdVectors(Ids(vocabulary, 2000, 0.3), tf.ones([2000, 3]))

    found = vectors(tf.range(2000), is_training=True).numpy()

    assert set(found.sum(axis=1)) == {0, 3}
    assert 0.6 < found.mean() < 0.8


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.lists(st.integers(0, 9), unique=True, min_size=1, max_size=6), min_size=1, max_size=5
    ),
    st.integers(1, 8),
)
def test_draws_are_other_items_of_the_same_user(histories: list[list[int]], draws: int) -> None:
    pairs = np.array([(user, item) for user, items in enumerate(histories) for item in items])
    users, items = pairs.astype(np.int32).T
    taken = Interactions(users, items, np.ones(len(users), np.float32), np.zeros(len(users)))

    config = HistorySoftmaxConfig(history_draws=draws, history_prior=2.0, short_histories=0.0)
    drawn = HistoryDraws(Histories.of(len(histories), taken), config).draw(users, items)

    assert drawn.item_rows.shape == drawn.weights.shape == (len(users), draws)
    for user, item, rows, weights in zip(users, items, *map(np.asarray, drawn), strict=True):
        assert set(rows) <= set(histories[user])
        assert not weights[rows == item].any()
        others = len(histories[user]) - 1
        expected = others / (others + 2) if (rows != item).any() else 0
        assert weights.sum() == pytest.approx(expected, abs=1e-5)


def test_short_histories_are_cut_and_weigh_as_little_as_they_are_long() -> None:
    items = np.arange(50, dtype=np.int32)
    taken = Interactions(items * 0, items, np.ones(50, np.float32), np.zeros(50))
    config = HistorySoftmaxConfig(history_draws=4, history_prior=2.0, short_histories=1.0)

    drawn = HistoryDraws(Histories.of(1, taken), config).draw(np.zeros(400, np.int32), items[:1])

    used = (drawn.weights.numpy() > 0).sum(axis=1)
    sums = drawn.weights.numpy().sum(axis=1)
    assert set(used) == {0, 1, 2, 3, 4}
    whole = (drawn.item_rows.numpy() > 0).all(axis=1)  # where the target was not among the drawn
    np.testing.assert_allclose(sums[whole], (used / (used + 2))[whole], atol=1e-6)


def test_rows_are_looked_up_as_they_are_encoded() -> None:
    items = ItemTable(
        ["a", "b", "c", "d"],
        ["The Film", "the other", "Film", "other"],
        {
            "genres": category_column([["x", "y"], ["x"], [], ["y", "z"]]),
            "year": number_column([1990, None, 1994, 2000]),
        },
    )
    features = FeatureRows(item_columns(items), np.array([0, 1, 2, 0], np.int32), 4)
    weights = np.random.default_rng(0).random((features.width, 5), np.float32)
    rows = np.array([3, 0, 0, 2], np.int32)

    dense = encode(features.features, item_columns(items), 4)

    # `the` and `film`, `x`, and two for the year: the rest occurs once in the rows of training.
    assert features.width == 5
    np.testing.assert_allclose(features.times(rows, weights), dense[rows] @ weights, rtol=1e-5)
