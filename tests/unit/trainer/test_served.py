"""A written version asked as a server asks it, by id and by query, against plain NumPy."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from recserve_trainer.artifact.served import ServedModel, queries_of
from recserve_trainer.errors import TrainerError
from recserve_trainer.evaluation.metrics import rank
from recserve_trainer.evaluation.tasks import OnlyCandidates
from recserve_trainer.features import Feature
from recserve_trainer.indexes.exact import ExactIndex
from recserve_trainer.interactions import Histories, Interactions
from recserve_trainer.retrieval import Embeddings, Queries, Stages
from recserve_trainer.tables import UserTable, category_column

pytestmark = pytest.mark.tensorflow

USERS, ITEMS, LENGTH = 300, 20, 4  # more users than are asked for in one batch
JOBS = Feature("job", "category", tuple("abcd"))


def draw(rows: int, seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(rows, LENGTH)).astype(np.float32)


EMBEDDINGS = Embeddings(draw(USERS, 1), draw(ITEMS, 2))


class RatedSum(tf.Module):
    """A query is the sum of its history's vectors times their ratings, plus its features."""

    features = (JOBS,)

    def __init__(self) -> None:
        super().__init__()
        self._items = tf.Variable(EMBEDDINGS.items)

    def embed(self, history: tf.Tensor, ratings: tf.Tensor, features: tf.Tensor) -> tf.Tensor:
        vectors = tf.gather(self._items, history[:, 1]) * ratings[:, None]
        return tf.tensor_scatter_nd_add(features, history[:, :1], vectors)

    def contributions(
        self, history: tf.Tensor, ratings: tf.Tensor, features: tf.Tensor, item_vectors: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        entries = tf.gather(self._items, history[:, 1]) * ratings[:, None]
        added = tf.linalg.matvec(tf.gather(item_vectors, history[:, 0]), entries)
        return added, tf.linalg.matvec(item_vectors, features)

    def oracle(self, queries: Queries) -> NDArray[np.float32]:
        embedded = queries.features.copy()
        vectors = EMBEDDINGS.items[queries.history[:, 1]] * queries.ratings[:, np.newaxis]
        np.add.at(embedded, queries.history[:, 0], vectors)
        return embedded


def histories_of(random: np.random.Generator) -> Histories:
    counts = random.integers(0, 6, USERS)
    rows = [np.sort(random.permutation(ITEMS)[:count]) for count in counts]
    return Histories(np.cumsum([0, *counts]), np.concatenate(rows).astype(np.int32))


def known_of(histories: Histories) -> Interactions:
    users = np.repeat(np.arange(USERS, dtype=np.int32), np.diff(histories.offsets))
    ratings = np.random.default_rng(6).integers(1, 6, len(users)).astype(np.float32)
    # In some other order than by user and item, as files have them.
    order = np.random.default_rng(7).permutation(len(users))
    return Interactions(users, histories.item_rows, ratings, np.arange(len(users))).take(order)


SEEN = histories_of(np.random.default_rng(3))
USER_TABLE = UserTable(
    [str(row) for row in range(USERS)],
    {"job": category_column([("abcde"[row % 5]) for row in range(USERS)])},
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> ServedModel:
    folder = tmp_path_factory.mktemp("index")
    ExactIndex(EMBEDDINGS, Stages(query_tower=RatedSum())).save(folder)
    return ServedModel(folder)


def test_users_asked_for_by_id_get_the_lists_of_a_brute_force(served: ServedModel) -> None:
    users = np.random.default_rng(4).permutation(USERS)[:270].astype(np.int32)

    found = served.by_id(users, SEEN, k=5)

    expected = rank(EMBEDDINGS.score, users, SEEN, k=5, item_count=ITEMS)
    assert found.user_rows.tolist() == users.tolist()
    assert found.item_rows.tolist() == expected.item_rows.tolist()


def test_where_fewer_may_be_recommended_than_asked_for_the_rest_of_the_list_is_empty(
    served: ServedModel,
) -> None:
    is_candidate = np.arange(ITEMS) < 3
    users = np.arange(USERS, dtype=np.int32)
    excluded = OnlyCandidates(SEEN, is_candidate)

    found = served.by_id(users, excluded, k=5)

    expected = rank(EMBEDDINGS.score, users, excluded, k=5, item_count=ITEMS)
    assert found.item_rows.tolist() == expected.item_rows.tolist()
    assert (found.item_rows[:, 3:] == -1).all()


def test_new_users_get_lists_by_history_ratings_and_profile(served: ServedModel) -> None:
    users = np.random.default_rng(5).permutation(USERS)[:270].astype(np.int32)
    known = known_of(SEEN)
    profiles = np.array([[job == "abcde"[row % 5] for job in "abcd"] for row in range(USERS)])
    embedded = profiles.astype(np.float32)
    vectors = EMBEDDINGS.items[known.item_rows] * known.ratings[:, np.newaxis]
    np.add.at(embedded, known.user_rows, vectors)

    found = served.by_query(users, queries_of(known, USER_TABLE, (JOBS,)), SEEN, k=5)

    expected = rank(
        lambda rows: embedded[rows] @ EMBEDDINGS.items.T, users, SEEN, k=5, item_count=ITEMS
    )
    assert found.item_rows.tolist() == expected.item_rows.tolist()


def test_a_model_without_a_query_tower_says_so(tmp_path: Path) -> None:
    ExactIndex(EMBEDDINGS).save(tmp_path)
    users = np.arange(3, dtype=np.int32)

    with pytest.raises(TrainerError, match="has no query tower"):
        ServedModel(tmp_path).by_query(users, queries_of(known_of(SEEN), USER_TABLE, ()), SEEN, k=5)


@given(st.lists(st.integers(0, USERS - 1), min_size=1, max_size=8, unique=True))
def test_a_batch_brings_the_histories_of_its_users_at_their_positions(rows: list[int]) -> None:
    known = known_of(SEEN)

    queries = queries_of(known, USER_TABLE, (JOBS,))(np.array(rows, np.int32))

    brought = {
        (rows[position], int(item), float(rating))
        for (position, item), rating in zip(queries.history, queries.ratings, strict=True)
    }
    of_rows = np.flatnonzero(np.isin(known.user_rows, rows))
    wanted = known.take(of_rows)
    assert brought == set(
        zip(
            wanted.user_rows.tolist(),
            wanted.item_rows.tolist(),
            wanted.ratings.tolist(),
            strict=True,
        )
    )
    assert len(queries.history) == len(of_rows)
    assert queries.history.dtype == np.int32
    assert queries.features.shape == (len(rows), 4)


def test_what_was_taken_twice_comes_once() -> None:
    twice = Interactions(
        np.array([2, 2], np.int32),
        np.array([4, 4], np.int32),
        np.array([5, 1], np.float32),
        np.array([1, 2]),
    )

    queries = queries_of(twice, USER_TABLE, ())(np.array([0, 2], np.int32))

    assert queries.history.tolist() == [[1, 4]]
    assert queries.ratings.tolist() == [5]
