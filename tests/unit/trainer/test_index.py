import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from recserve_trainer.evaluation.metrics import top_k
from recserve_trainer.indexes.exact import ExactIndex
from recserve_trainer.retrieval import Embeddings

pytestmark = pytest.mark.tensorflow

USERS, ITEMS, LENGTH = 9, 23, 4


@pytest.fixture(scope="module")
def embeddings() -> Embeddings:
    random = np.random.default_rng(1)
    # Whole numbers: equal scores abound and sums are exact, so rankings must agree to the letter.
    draw = lambda rows: random.integers(-2, 3, (rows, LENGTH)).astype(np.float32)  # noqa: E731
    return Embeddings(draw(USERS), draw(ITEMS))


@pytest.fixture(scope="module")
def folder(embeddings: Embeddings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    ExactIndex(embeddings).save(folder)
    return folder


@pytest.fixture(scope="module", params=["before saving", "after loading"])
def index(request: pytest.FixtureRequest, embeddings: Embeddings, folder: Path) -> object:
    if request.param == "before saving":
        return ExactIndex(embeddings)
    loaded = tf.saved_model.load(str(folder))
    loaded.recommend = lambda u, k, e: loaded.signatures["recommend"](user_rows=u, k=k, excluded=e)
    loaded.search = lambda q, k, e: loaded.signatures["search"](query_embeddings=q, k=k, excluded=e)
    return loaded


@pytest.mark.parametrize("k", [1, 3, ITEMS, ITEMS + 5])
@pytest.mark.parametrize("batch", [1, 2, 7])
@pytest.mark.parametrize("excluded_count", [0, 3, ITEMS - 1, ITEMS])
def test_a_ranking_is_the_brute_force_one(
    index: object, embeddings: Embeddings, k: int, batch: int, excluded_count: int
) -> None:
    users = np.arange(batch, dtype=np.int32)
    pairs = [(row, (row + item) % ITEMS) for row in users for item in range(excluded_count)]
    excluded = np.array(pairs, np.int32).reshape(-1, 2)
    expected = embeddings.score(users)
    expected[excluded[:, 0], excluded[:, 1]] = -np.inf

    answer = index.recommend(tf.constant(users), tf.constant(k), tf.constant(excluded))

    rows, scores = answer["item_rows"].numpy(), answer["scores"].numpy()
    assert (rows.dtype, scores.dtype) == (np.int32, np.float32)
    assert rows.shape == scores.shape == (batch, min(k, ITEMS))
    assert np.array_equal(np.where(scores > -np.inf, rows, -1), top_k(expected, k))
    assert np.array_equal(scores, np.take_along_axis(expected, rows, axis=1))


def test_searching_for_a_users_vector_is_recommending_to_the_user(
    index: object, embeddings: Embeddings
) -> None:
    users, k = np.array([3, 5], np.int32), tf.constant(4)
    nothing = tf.zeros([0, 2], tf.int32)

    found = index.search(tf.constant(embeddings.users[users]), k, nothing)
    recommended = index.recommend(tf.constant(users), k, nothing)

    assert np.array_equal(found["item_rows"], recommended["item_rows"])


@pytest.mark.long
def test_neither_keras_nor_tfrs_is_needed_to_load_it(folder: Path) -> None:
    program = f"""
import sys
for name in ("keras", "tf_keras", "tensorflow_recommenders", "tensorflow_datasets"):
    sys.modules[name] = None
import tensorflow as tf
recommend = tf.saved_model.load({str(folder)!r}).signatures["recommend"]
answer = recommend(
    user_rows=tf.constant([0]), k=tf.constant(2), excluded=tf.zeros([0, 2], tf.int32)
)
print(answer["item_rows"].shape)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == "(1, 2)"
