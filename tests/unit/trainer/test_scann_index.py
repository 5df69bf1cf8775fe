"""The approximate index against a brute force in NumPy, before saving and after loading."""

import importlib.util
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from recserve_trainer.evaluation.metrics import top_k
from recserve_trainer.indexes.exact import ExactIndex
from recserve_trainer.indexes.scann import ScannIndex
from recserve_trainer.indexes.scann_proposals import ScannConfig
from recserve_trainer.retrieval import Embeddings

pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.skipif(
        importlib.util.find_spec("scann") is None,
        reason="scann is not installed: the extra is for Linux x86_64 only",
    ),
]

USERS, ITEMS, LENGTH = 12, 4000, 8
# Searched to the last leaf, by codes that are nearly exact: nothing may be missing.
THOROUGH = ScannConfig(
    leaves=40, leaves_to_search=40, dimensions_per_block=1, candidates=300, exact_share=8
)
HASTY = ScannConfig(leaves=40, leaves_to_search=1, candidates=100, exact_share=8)
NOTHING = np.empty((0, 2), np.int32)


@pytest.fixture(scope="module")
def embeddings() -> Embeddings:
    random = np.random.default_rng(1)
    # Whole numbers: sums are exact, so scores must agree to the letter. Each item is there twice.
    draw = lambda rows: random.integers(-40, 41, (rows, LENGTH)).astype(np.float32)  # noqa: E731
    return Embeddings(draw(USERS), np.tile(draw(ITEMS // 2), (2, 1)))


@pytest.fixture(scope="module")
def thorough(embeddings: Embeddings) -> ScannIndex:
    return ScannIndex(embeddings, THOROUGH)


@pytest.fixture(scope="module")
def hasty(embeddings: Embeddings) -> ScannIndex:
    return ScannIndex(embeddings, HASTY)


@pytest.fixture(scope="module")
def folder(thorough: ScannIndex, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    thorough.save(folder)
    return folder


def load(folder: Path) -> object:
    loaded = tf.saved_model.load(str(folder))
    loaded.recommend = lambda u, k, e: loaded.signatures["recommend"](user_rows=u, k=k, excluded=e)
    loaded.search = lambda q, k, e: loaded.signatures["search"](query_embeddings=q, k=k, excluded=e)
    return loaded


@pytest.fixture(scope="module", params=["before saving", "after loading"])
def index(request: pytest.FixtureRequest, thorough: ScannIndex, folder: Path) -> object:
    return thorough if request.param == "before saving" else load(folder)


def exclusions(embeddings: Embeddings, users: np.ndarray, which: str) -> np.ndarray:
    best = np.argsort(-embeddings.score(users), axis=1, kind="stable").astype(np.int32)
    counts = {
        "none": [0] * len(users),
        "the best 150": [150] * len(users),
        "all but 3": [ITEMS - 3] * len(users),
        "everything": [ITEMS] * len(users),
        "each their own": [0, ITEMS, 1, 150, ITEMS - 3][: len(users)],
    }[which]
    pairs = [(at, row) for at, count in enumerate(counts) for row in best[at, :count]]
    # In no order: nothing in the contract says that pairs are sorted. Some are there twice.
    mixed = np.random.default_rng(0).permutation(np.array(pairs, np.int32).reshape(-1, 2))
    return np.concatenate([mixed, mixed[:5]])


def ask(index: object, users: np.ndarray, k: int, excluded: np.ndarray) -> tuple:
    answer = index.recommend(tf.constant(users), tf.constant(k), tf.constant(excluded))
    return answer["item_rows"].numpy(), answer["scores"].numpy()


@pytest.mark.parametrize("k", [1, 10, 100, ITEMS + 5])
@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize(
    "which", ["none", "the best 150", "all but 3", "everything", "each their own"]
)
def test_a_ranking_is_the_brute_force_one(
    index: object, embeddings: Embeddings, k: int, batch: int, which: str
) -> None:
    users = np.arange(batch, dtype=np.int32)
    excluded = exclusions(embeddings, users, which)
    expected = embeddings.score(users)
    expected[excluded[:, 0], excluded[:, 1]] = -np.inf

    rows, scores = ask(index, users, k, excluded)

    assert (rows.dtype, scores.dtype) == (np.int32, np.float32)
    assert rows.shape == scores.shape == (batch, min(k, ITEMS))
    assert np.array_equal(scores, np.take_along_axis(expected, rows, axis=1))
    assert np.array_equal(np.where(scores > -np.inf, rows, -1), top_k(expected, k))


def check(rows: np.ndarray, scores: np.ndarray, expected: np.ndarray) -> None:
    """Holds an answer against what is promised whatever is found."""
    assert np.array_equal(scores, np.take_along_axis(expected, rows, axis=1))
    for served, values, allowed in zip(rows, scores, expected, strict=True):
        found = served[values > -np.inf]
        assert len(found) == min(len(served), (allowed > -np.inf).sum())
        assert len(np.unique(served)) == len(served)
        order = np.lexsort((found, -values[: len(found)]))
        assert np.array_equal(order, np.arange(len(found)))


@pytest.mark.parametrize("which", ["none", "the best 150", "each their own"])
@pytest.mark.parametrize("k", [10, 60])
def test_promises_hold_where_few_items_are_looked_at(
    hasty: ScannIndex, embeddings: Embeddings, k: int, which: str
) -> None:
    users = np.arange(5, dtype=np.int32)
    excluded = exclusions(embeddings, users, which)
    expected = embeddings.score(users)
    expected[excluded[:, 0], excluded[:, 1]] = -np.inf

    rows, scores = ask(hasty, users, k, excluded)

    check(rows, scores, expected)


def test_an_answer_is_approximate_unless_it_would_be_short(
    hasty: ScannIndex, embeddings: Embeddings
) -> None:
    # A leaf holds about 100 items: enough for the best 10 of it, not for 120.
    users = np.arange(USERS, dtype=np.int32)
    expected = embeddings.score(users)

    few, _ = ask(hasty, users, 10, NOTHING)
    many, _ = ask(hasty, users, 120, NOTHING)

    is_exact = (many == top_k(expected, 120)).all(axis=1)
    assert is_exact.sum() >= USERS // 2
    assert not np.array_equal(few, top_k(expected, 10))
    check(many, np.take_along_axis(expected, many, axis=1), expected)


def test_an_exact_answer_beside_it_does_not_change_an_approximate_one(
    hasty: ScannIndex, embeddings: Embeddings
) -> None:
    users = np.arange(4, dtype=np.int32)
    everything = np.array([(2, row) for row in range(ITEMS)], np.int32)
    alone = [ask(hasty, users[at : at + 1], 10, NOTHING)[0][0] for at in (0, 1, 3)]

    rows, scores = ask(hasty, users, 10, everything)

    assert np.array_equal(rows[[0, 1, 3]], alone)
    assert (scores[2] == -np.inf).all()
    assert (scores[[0, 1, 3]] > -np.inf).all()


@pytest.mark.parametrize("k", [1, 10])
def test_queries_that_scann_would_not_survive_are_answered_as_by_the_exact_index(
    index: object, embeddings: Embeddings, k: int
) -> None:
    queries = embeddings.users[:6].copy()
    queries[1] = 0
    queries[2, 3] = np.inf
    queries[3] = np.nan
    queries[4] *= np.float32(2**110)
    queries[5] *= np.float32(2**-110)
    exact = ExactIndex(embeddings).search(queries, k, NOTHING)

    found = index.search(tf.constant(queries), tf.constant(k), tf.constant(NOTHING))

    assert np.array_equal(found["item_rows"], exact["item_rows"])
    assert np.array_equal(found["scores"], exact["scores"], equal_nan=True)


def test_queries_are_scaled_back_before_they_meet_the_vectors(
    embeddings: Embeddings,
) -> None:
    # The last dimension is a constant 1 in all users, the one before is used by none of them.
    users = embeddings.users.copy()
    users[:, :-2] *= 0.02
    users[:, -2:] = 0, 1
    index = ScannIndex(Embeddings(users, embeddings.items), THOROUGH)
    rows = np.arange(USERS, dtype=np.int32)

    _, scores = ask(index, rows, 10, NOTHING)
    similar = index.search(embeddings.items[:5], 10, NOTHING)

    best = np.sort(users @ embeddings.items.T, axis=1)[:, :-11:-1]
    np.testing.assert_allclose(scores, best, rtol=1e-5)
    best = np.sort(embeddings.items[:5] @ embeddings.items.T, axis=1)[:, :-11:-1]
    assert (similar["scores"].numpy()[:, :2] == best[:, :2]).all()  # itself, and its double


def catalogue_mostly_unknown(known: int) -> Embeddings:
    """Trained items stand anywhere; all others have the zero vector and the lowest bias."""
    random = np.random.default_rng(4)
    items = np.zeros((ITEMS, LENGTH), np.float32)
    items[:, -1] = -3
    at = random.choice(ITEMS, known, replace=False)
    items[at] = random.integers(-9, 10, (known, LENGTH))
    items[at, -1] = random.integers(-3, 10, known)
    users = random.integers(-9, 10, (USERS, LENGTH)).astype(np.float32)
    users[:, -1] = 1
    return Embeddings(users, items)


@pytest.mark.parametrize("known", [20, 150, 900])
@pytest.mark.parametrize("k", [1, 10, 100, 600])
def test_items_that_training_does_not_know_stand_where_their_score_puts_them(
    known: int, k: int
) -> None:
    # With 900 known about half score above the unknown, and only those are found by candidates.
    model = catalogue_mostly_unknown(known)
    index = ScannIndex(model, replace(THOROUGH, leaves=4, leaves_to_search=4))
    users = np.arange(USERS, dtype=np.int32)
    seen = exclusions(model, users[:5], "each their own")
    expected = model.score(users)
    expected[seen[:, 0], seen[:, 1]] = -np.inf

    rows, scores = ask(index, users, k, seen)

    assert np.array_equal(scores, np.take_along_axis(expected, rows, axis=1))
    assert np.array_equal(np.where(scores > -np.inf, rows, -1), top_k(expected, k))


def test_no_queries_give_no_rankings(index: object) -> None:
    rows, scores = ask(index, np.empty(0, np.int32), 7, NOTHING)

    assert rows.shape == scores.shape == (0, 7)


@pytest.mark.parametrize("pair", [(1, 0), (-1, 0), (0, ITEMS), (0, -1)])
def test_a_pair_that_lies_outside_fails_as_it_does_with_the_exact_index(
    index: object, embeddings: Embeddings, pair: tuple[int, int]
) -> None:
    for any_index in (index, ExactIndex(embeddings)):
        with pytest.raises(tf.errors.InvalidArgumentError):
            ask(any_index, np.array([3], np.int32), 10, np.array([pair], np.int32))


@pytest.mark.long
def test_two_models_in_one_process_answer_from_their_own_catalogue(
    folder: Path, embeddings: Embeddings, tmp_path: Path
) -> None:
    negated = Embeddings(embeddings.users, -embeddings.items)
    ScannIndex(negated, THOROUGH).save(tmp_path)
    users = np.arange(3, dtype=np.int32)

    for path, model in [(folder, embeddings), (tmp_path, negated), (folder, embeddings)]:
        rows, _ = ask(load(path), users, 10, NOTHING)
        assert np.array_equal(rows, top_k(model.score(users), 10))


def test_building_it_twice_gives_the_same_index(hasty: ScannIndex, embeddings: Embeddings) -> None:
    again = ScannIndex(embeddings, HASTY)
    users = np.arange(USERS, dtype=np.int32)

    assert np.array_equal(ask(again, users, 10, NOTHING)[0], ask(hasty, users, 10, NOTHING)[0])


@pytest.mark.long
@pytest.mark.slow
def test_scann_alone_is_needed_to_load_it(folder: Path, embeddings: Embeddings) -> None:
    program = f"""
import sys
for name in ("keras", "tf_keras", "tensorflow_recommenders", "tensorflow_datasets"):
    sys.modules[name] = None
import scann
import tensorflow as tf
recommend = tf.saved_model.load({str(folder)!r}).signatures["recommend"]
answer = recommend(
    user_rows=tf.constant([0]), k=tf.constant(4), excluded=tf.zeros([0, 2], tf.int32)
)
print(answer["item_rows"].numpy().tolist())
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == str(top_k(embeddings.score(np.array([0])), 4).tolist())
