"""Searching among some of the items, by both kinds of index, against a brute force in NumPy."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from recserve_trainer.datasets.clustered import clustered_vectors
from recserve_trainer.evaluation.metrics import top_k
from recserve_trainer.indexes.block_top_k import FEWEST_ITEMS
from recserve_trainer.indexes.exact import ExactIndex
from recserve_trainer.indexes.scann import ScannIndex
from recserve_trainer.indexes.scann_proposals import ScannConfig
from recserve_trainer.retrieval import Embeddings

pytestmark = pytest.mark.tensorflow
needs_scann = pytest.mark.skipif(
    importlib.util.find_spec("scann") is None,
    reason="scann is not installed: the extra is for Linux x86_64 only",
)

USERS, ITEMS, LENGTH = 6, 4000, 8
# Searched to the last leaf, by codes that are nearly exact: nothing may be missing.
THOROUGH = ScannConfig(
    leaves=40, leaves_to_search=40, dimensions_per_block=1, candidates=100, exact_share=2
)
HASTY = replace(THOROUGH, leaves_to_search=2, candidates=20)
SHARES = {"nothing": 0.0, "a few": 0.002, "a tenth": 0.1, "half": 0.5, "everything": 1.0}


def draw(rows: int, seed: int) -> np.ndarray:
    # Whole numbers: sums are exact, so scores must agree to the letter.
    random = np.random.default_rng(seed)
    return random.integers(-40, 41, (rows, LENGTH)).astype(np.float32)


# Each item is there twice.
EMBEDDINGS = Embeddings(draw(USERS, 1), np.tile(draw(ITEMS // 2, 2), (2, 1)))
MASKS = np.stack([np.random.default_rng(3).random(ITEMS) < share for share in SHARES.values()])


@pytest.fixture(scope="module", params=["exact", pytest.param("scann", marks=needs_scann)])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module", params=["before saving", "after loading"])
def index(
    request: pytest.FixtureRequest, kind: str, tmp_path_factory: pytest.TempPathFactory
) -> object:
    made = ExactIndex(EMBEDDINGS) if kind == "exact" else ScannIndex(EMBEDDINGS, THOROUGH)
    if request.param == "before saving":
        return made
    folder = tmp_path_factory.mktemp("saved")
    made.save(folder)
    return tf.saved_model.load(str(folder))


def search(index: object, k: int, excluded: np.ndarray, mask_of: list[int]) -> tuple:
    asked = {
        "query_embeddings": tf.constant(EMBEDDINGS.users[: len(mask_of)]),
        "k": tf.constant(k),
        "excluded": tf.constant(excluded),
        "mask_of": tf.constant(mask_of, tf.int32),
        "masks": tf.constant(MASKS),
    }
    saved = getattr(index, "signatures", None)
    answer = saved["search_eligible"](**asked) if saved else index.search_eligible(**asked)
    return answer["item_rows"].numpy(), answer["scores"].numpy()


def allowed(excluded: np.ndarray, mask_of: list[int]) -> np.ndarray:
    scores = EMBEDDINGS.score(np.arange(len(mask_of)))
    scores[~MASKS[mask_of]] = -np.inf
    scores[excluded[:, 0], excluded[:, 1]] = -np.inf
    return scores


def best(mask_of: list[int], counts: list[int]) -> np.ndarray:
    """Pairs of what stands first for each query among what is eligible for it."""
    ranking = top_k(allowed(np.empty((0, 2), np.int32), mask_of), ITEMS)
    pairs = [
        (at, row) for at, count in enumerate(counts) for row in ranking[at, :count] if row >= 0
    ]
    mixed = np.random.default_rng(0).permutation(np.array(pairs, np.int32).reshape(-1, 2))
    return np.concatenate([mixed, mixed[:3]])


@pytest.mark.parametrize("k", [1, 10, 90, ITEMS + 5])
@pytest.mark.parametrize(
    "mask_of", [[0], [1], [2], [3], [4], [4, 1, 3, 0, 2, 3], [2, 2, 3, 2]], ids=str
)
@pytest.mark.parametrize("seen", [0, 1, 30, ITEMS])
def test_a_ranking_is_the_brute_force_one_of_what_is_eligible(
    index: object, k: int, mask_of: list[int], seen: int
) -> None:
    excluded = best(mask_of, [seen, 0, seen, 2, seen, ITEMS][: len(mask_of)])
    expected = allowed(excluded, mask_of)

    rows, scores = search(index, k, excluded, mask_of)

    assert (rows.dtype, scores.dtype) == (np.int32, np.float32)
    assert rows.shape == scores.shape == (len(mask_of), min(k, ITEMS))
    found = scores > -np.inf
    assert np.array_equal(np.where(found, rows, -1), top_k(expected, k))
    assert np.array_equal(scores[found], np.take_along_axis(expected, rows, axis=1)[found])


def test_no_queries_give_no_rankings(index: object) -> None:
    rows, scores = search(index, 7, np.empty((0, 2), np.int32), [])

    assert rows.shape == scores.shape == (0, 7)


@pytest.mark.parametrize("mask_of", [[len(SHARES)], [-1]])
def test_a_mask_that_is_not_there_is_an_error(index: object, mask_of: list[int]) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError):
        search(index, 7, np.empty((0, 2), np.int32), mask_of)


def test_where_everything_is_eligible_it_is_plain_search(index: object, kind: str) -> None:
    seen = best([4] * USERS, [5] * USERS)
    made = ExactIndex(EMBEDDINGS) if kind == "exact" else ScannIndex(EMBEDDINGS, THOROUGH)
    plain = made.search(EMBEDDINGS.users, tf.constant(10), tf.constant(seen))

    rows, scores = search(index, 10, seen, [4] * USERS)

    assert np.array_equal(rows, plain["item_rows"])
    assert np.array_equal(scores, plain["scores"])


@pytest.fixture(scope="module")
def hasty() -> ScannIndex:
    return ScannIndex(EMBEDDINGS, HASTY)


@needs_scann
@given(
    mask_of=st.lists(st.integers(0, len(SHARES) - 1), min_size=1, max_size=USERS),
    seen=st.lists(st.sampled_from([0, 1, 25, 300]), min_size=USERS, max_size=USERS),
    k=st.sampled_from([1, 10, 60]),
)
@settings(deadline=None, max_examples=40)
def test_promises_hold_where_few_items_are_looked_at(
    hasty: ScannIndex, mask_of: list[int], seen: list[int], k: int
) -> None:
    excluded = best(mask_of, seen[: len(mask_of)])
    expected = allowed(excluded, mask_of)

    rows, scores = search(hasty, k, excluded, mask_of)

    for served, values, scored in zip(rows, scores, expected, strict=True):
        found = served[values > -np.inf]
        assert len(found) == min(k, (scored > -np.inf).sum())
        assert len(set(found.tolist())) == len(found)
        assert np.array_equal(values[: len(found)], scored[found])
        assert (np.diff(values[: len(found)]) <= 0).all()


@needs_scann
@pytest.mark.parametrize("how", ["at random", "by what they are like"])
def test_the_fewer_are_eligible_the_more_are_looked_at(how: str) -> None:
    vectors = clustered_vectors(20_000, 16, seed=1, clusters=100)
    users = clustered_vectors(40, 16, seed=1, part=1, clusters=100)
    index = ScannIndex(Embeddings(users, vectors), ScannConfig(leaves=100, leaves_to_search=20))
    random = np.random.default_rng(0)
    order = random.random(20_000) if how == "at random" else vectors @ random.normal(size=16)
    mask = (order < np.quantile(order, 0.4))[None, :]
    looked_at: list[tuple[int, int]] = []
    index._exact = lambda request: pytest.fail("answered exactly")

    propose = index._proposals.propose

    def counting(
        queries: tf.Tensor, count: tf.Tensor, leaves: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        looked_at.append((int(count), int(leaves)))
        return propose(queries, count, leaves)

    index._proposals.propose = counting
    nothing, mask_of = tf.zeros([0, 2], tf.int32), tf.zeros([len(users)], tf.int32)

    found = index.search_eligible(users, tf.constant(10), nothing, mask_of, tf.constant(mask))

    expected = top_k(np.where(mask, users @ vectors.T, -np.inf).astype(np.float32), 10)
    hits = [
        len(set(one) & set(other))
        for one, other in zip(found["item_rows"].numpy().tolist(), expected.tolist(), strict=True)
    ]
    # Two in five are eligible: three times 200 candidates, three times 20 leaves.
    assert looked_at == [(600, 60)]
    assert np.mean(hits) / 10 > 0.95


def test_large_catalogues_are_ranked_alike() -> None:
    random = np.random.default_rng(0)
    items = random.integers(-3, 4, (FEWEST_ITEMS + 7, 3)).astype(np.float32)
    model = Embeddings(random.integers(-3, 4, (4, 3)).astype(np.float32), items)
    masks = np.stack([random.random(len(items)) < share for share in (0.001, 0.5)])
    mask_of = np.array([0, 1, 1, 0], np.int32)
    excluded = np.array([[1, 5], [0, 9]], np.int32)
    expected = np.where(masks[mask_of], model.score(np.arange(4)), -np.inf)
    expected[excluded[:, 0], excluded[:, 1]] = -np.inf

    found = ExactIndex(model).search_eligible(model.users, 50, excluded, mask_of, masks)

    rows = np.where(found["scores"] > -np.inf, found["item_rows"], -1)
    assert np.array_equal(rows, top_k(expected, 50))


def test_a_saved_index_refuses_masks_of_another_catalogue(kind: str, tmp_path: Path) -> None:
    made = ExactIndex(EMBEDDINGS) if kind == "exact" else ScannIndex(EMBEDDINGS, THOROUGH)
    made.save(tmp_path)
    loaded = tf.saved_model.load(str(tmp_path))

    with pytest.raises(tf.errors.InvalidArgumentError):
        loaded.signatures["search_eligible"](
            query_embeddings=tf.constant(EMBEDDINGS.users[:1]),
            k=tf.constant(3),
            excluded=tf.zeros([0, 2], tf.int32),
            mask_of=tf.constant([3]),
            masks=tf.constant(MASKS[:, :-1]),
        )
