"""Similarity of items against correlations in NumPy, before saving and after loading."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from recserve_trainer.evaluation.metrics import top_k
from recserve_trainer.indexes.exact import ExactIndex
from recserve_trainer.indexes.scann import ScannIndex
from recserve_trainer.indexes.similarity import Similarity
from recserve_trainer.retrieval import Embeddings

pytestmark = pytest.mark.tensorflow
needs_scann = pytest.mark.skipif(
    importlib.util.find_spec("scann") is None,
    reason="scann is not installed: the extra is for Linux x86_64 only",
)

USERS, ITEMS, LENGTH = 50, 60, 6
KNOWN_BY_BIAS = 7


def with_bias() -> Embeddings:
    """Vectors of length 5 that hang together, a bias for items and a 1 for users."""
    random = np.random.default_rng(0)
    mixed = random.normal(size=(LENGTH - 1, LENGTH - 1))
    users = random.normal(1.0, 1.0, (USERS, LENGTH - 1)) @ mixed
    items = random.normal(size=(ITEMS, LENGTH - 1))
    items[KNOWN_BY_BIAS] = 0
    bias = random.normal(0, 10, (ITEMS, 1))
    return Embeddings(
        np.column_stack([users, np.ones(USERS)]).astype(np.float32),
        np.column_stack([items, bias]).astype(np.float32),
    )


EMBEDDINGS = with_bias()


def correlations(model: Embeddings) -> np.ndarray:
    """[items, items]: of the scores by all users; 0 where a score is the same for all."""
    scores = model.users.astype(np.float64) @ model.items.T.astype(np.float64)
    centred = scores - scores.mean(axis=0)
    lengths = np.linalg.norm(centred, axis=0)
    units = np.divide(centred, lengths, out=np.zeros_like(centred), where=lengths > 1e-6)
    return units.T @ units


@pytest.fixture(scope="module", params=["exact", pytest.param("scann", marks=needs_scann)])
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> object:
    folder = tmp_path_factory.mktemp("saved")
    made = ExactIndex(EMBEDDINGS) if request.param == "exact" else ScannIndex(EMBEDDINGS)
    made.save(folder)
    return tf.saved_model.load(str(folder))


def embed(loaded: object, rows: list[int]) -> np.ndarray:
    return loaded.signatures["embed_items"](item_rows=tf.constant(rows, tf.int32))[
        "embeddings"
    ].numpy()


def search(loaded: object, queries: np.ndarray, k: int, excluded: list, masks: np.ndarray):
    answer = loaded.signatures["search_similar"](
        query_embeddings=tf.constant(queries),
        k=tf.constant(k),
        excluded=tf.constant(np.array(excluded, np.int32).reshape(-1, 2)),
        mask_of=tf.constant(np.arange(len(queries), dtype=np.int32) % len(masks)),
        masks=tf.constant(masks),
    )
    return answer["item_rows"].numpy(), answer["scores"].numpy()


EVERYTHING = np.ones((1, ITEMS), np.bool_)


def test_similarity_is_the_correlation_of_the_scores_that_all_users_give(
    loaded: object,
) -> None:
    vectors = embed(loaded, list(range(ITEMS)))

    assert vectors.shape == (ITEMS, LENGTH)
    assert vectors @ vectors.T == pytest.approx(correlations(EMBEDDINGS), abs=1e-5)


def test_vectors_have_length_1_but_for_items_that_score_the_same_for_all(
    loaded: object,
) -> None:
    vectors = embed(loaded, [3, KNOWN_BY_BIAS, 3])

    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 0, 1], abs=1e-5)
    assert not vectors[1].any()
    assert np.array_equal(vectors[0], vectors[2])


def test_similar_items_are_found_as_by_a_brute_force_that_heeds_masks_and_exclusions(
    loaded: object,
) -> None:
    rows = [5, 11, 23, 40]
    random = np.random.default_rng(1)
    masks = np.stack([random.random(ITEMS) < 0.4, EVERYTHING[0], np.zeros(ITEMS, np.bool_)])
    # Each item itself, and some others.
    excluded = [(at, row) for at, row in enumerate(rows)] + [(0, 9), (3, 10), (3, 10), (1, 0)]
    expected = correlations(EMBEDDINGS)[rows]
    expected[~masks[[0, 1, 2, 0]]] = -np.inf
    expected[tuple(np.array(excluded).T)] = -np.inf

    found, scores = search(loaded, embed(loaded, rows), 20, excluded, masks)

    assert found.shape == scores.shape == (4, 20)
    assert np.array_equal(np.where(scores > -np.inf, found, -1), top_k(expected, 20))
    is_found = scores > -np.inf
    ranked = np.take_along_axis(expected, found, axis=1)
    assert scores[is_found] == pytest.approx(ranked[is_found], abs=1e-5)
    assert not is_found[2].any()


def test_to_several_items_at_once_similarity_is_the_mean_of_each(loaded: object) -> None:
    query = embed(loaded, [4, 30, 31]).mean(axis=0, keepdims=True)
    expected = correlations(EMBEDDINGS)[[4, 30, 31]].mean(axis=0)

    found, scores = search(loaded, query, ITEMS, [], EVERYTHING)

    assert scores[0] == pytest.approx(expected[found[0]], abs=1e-5)


@pytest.mark.parametrize(
    "users",
    [
        np.array([[0.3, -0.7, 0.1]], np.float32),
        np.full((77, 3), 0.1, np.float32),
        np.float32(1 / 3) + np.float32(3e-8) * (np.arange(60, dtype=np.float32) % 7).reshape(20, 3),
        np.zeros((4, 3), np.float32),
    ],
    ids=["one user", "users all alike", "users alike but for rounding", "users that are zero"],
)
def test_where_users_do_not_differ_no_item_is_similar_to_any(users: np.ndarray) -> None:
    items = np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32)
    index = ExactIndex(Embeddings(users, items))

    vectors = index.embed_items(tf.range(9))["embeddings"].numpy()
    found = index.similarity.search(
        tf.constant(vectors), 4, tf.zeros([0, 2], tf.int32), [0] * 9, np.ones((1, 9), np.bool_)
    )

    assert not vectors.any()
    assert found["scores"].numpy().tolist() == [[0] * 4] * 9
    assert found["item_rows"].numpy().tolist() == [[0, 1, 2, 3]] * 9


@given(
    st.integers(0, 2**16),
    st.integers(1, 12),
    st.sampled_from([1e-20, 1e-3, 1.0, 1e3, 1e14]),
)
@settings(deadline=None, max_examples=40)
def test_any_finite_vectors_have_similarities_from_minus_1_to_1(
    seed: int, users: int, factor: float
) -> None:
    random = np.random.default_rng(seed)
    draw = lambda rows: (factor * random.normal(size=(rows, 5))).astype(np.float32)  # noqa: E731
    model = Embeddings(draw(users), draw(8))

    vectors = ExactIndex(model).embed_items(tf.range(8))["embeddings"].numpy()

    lengths = np.linalg.norm(vectors, axis=1)
    assert np.isfinite(vectors).all()
    assert np.where(lengths == 0, 1, lengths) == pytest.approx(np.ones(8), abs=5e-3)


def test_the_vectors_of_the_catalogue_are_not_kept_twice(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    items = random.normal(size=(20_000, 64)).astype(np.float32)
    users = items[:10]
    ExactIndex(Embeddings(users, items)).save(tmp_path)

    [variables] = tmp_path.glob("variables/variables.data-*")
    root_and_lengths = 64 * 64 * 4 + 20_000 * 4
    assert variables.stat().st_size < items.nbytes + users.nbytes + root_and_lengths + 10_000


def test_large_tables_are_taken_in_pieces_that_leave_no_seam(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at_once = ExactIndex(EMBEDDINGS).embed_items(tf.range(ITEMS))["embeddings"].numpy()
    monkeypatch.setattr("recserve_trainer.indexes.similarity._ROWS_AT_ONCE", 7)

    in_pieces = Similarity(EMBEDDINGS, tf.Variable(EMBEDDINGS.items)).embed(tf.range(ITEMS))

    assert in_pieces.numpy() == pytest.approx(at_once, abs=1e-5)
