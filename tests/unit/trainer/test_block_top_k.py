import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from recserve_trainer.evaluation.metrics import top_k
from recserve_trainer.indexes.block_top_k import FEWEST_ITEMS, block_top_k
from recserve_trainer.indexes.exact import ExactIndex
from recserve_trainer.retrieval import Embeddings

pytestmark = pytest.mark.tensorflow


@settings(max_examples=60, deadline=None)
@given(
    length=st.sampled_from([1000, 1024, 1031]),
    values=st.sampled_from([1, 2, 5, 1000]),
    k=st.sampled_from([1, 2, 7, 8, 9, 300, 1000]),
    share_excluded=st.sampled_from([0.0, 0.5, 0.999]),
    seed=st.integers(0, 1000),
)
def test_blocks_find_what_a_brute_force_does_ties_included(
    length: int, values: int, k: int, share_excluded: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    scores = random.integers(0, values, (3, length)).astype(np.float32)
    scores[random.random(scores.shape) < share_excluded] = -np.inf

    columns, found = block_top_k(tf.constant(scores), tf.constant(k))

    assert columns.dtype == tf.int32
    assert np.array_equal(np.where(found > -np.inf, columns, -1), top_k(scores, k))
    assert np.array_equal(found, -np.sort(-scores, axis=1)[:, :k])


def test_a_large_exact_index_ranks_as_a_brute_force_does() -> None:
    random = np.random.default_rng(3)
    draw = lambda rows: random.integers(-2, 3, (rows, 6)).astype(np.float32)  # noqa: E731
    embeddings = Embeddings(draw(4), draw(FEWEST_ITEMS + 7))
    users = np.arange(4, dtype=np.int32)
    excluded = np.array([[0, row] for row in range(5000)] + [[2, FEWEST_ITEMS]], np.int32)
    expected = embeddings.score(users)
    expected[excluded[:, 0], excluded[:, 1]] = -np.inf

    answer = ExactIndex(embeddings).recommend(
        tf.constant(users), tf.constant(25), tf.constant(excluded)
    )

    assert np.array_equal(answer["item_rows"].numpy(), top_k(expected, 25))
