from itertools import pairwise

import numpy as np
import pytest

from recserve_server.answering.padding import PaddedRetriever
from recserve_server.config import BatchingConfig
from recserve_server.matrix_model import MatrixRetriever

SCORES = np.random.default_rng(0).normal(size=(30, 7)).astype(np.float32)
NOTHING = np.empty((0, 2), np.int32)


@pytest.mark.parametrize(
    ("count", "called_with"), [(1, 1), (2, 4), (4, 4), (5, 6), (6, 6), (7, 7), (30, 30)]
)
@pytest.mark.parametrize("second", [None, -SCORES], ids=["one stage", "two stages"])
def test_a_batch_is_padded_to_the_next_allowed_size_and_answers_the_same(
    count: int, called_with: int, second: np.ndarray | None
) -> None:
    retriever = MatrixRetriever(SCORES, second=second, candidates=6)
    padded = PaddedRetriever(retriever, (1, 4, 6))
    rows = np.arange(count, dtype=np.int32)
    excluded = np.array([[0, 3], [count - 1, 5]], np.int32)

    found = padded.retrieve(rows, 5, excluded)

    assert retriever.batch_sizes == [called_with]
    expected = retriever.retrieve(rows, 5, excluded)
    for each, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(each, other)
    assert (padded.stats.rows, padded.stats.padding_rows) == (count, called_with - count)


@pytest.mark.parametrize("largest", [1, 2, 3, 10, 100, 128, 256, 4096])
def test_sizes_by_default_end_at_the_largest_and_pad_by_half_at_most(largest: int) -> None:
    sizes = BatchingConfig(max_batch_size=largest, max_enqueued=4096).batch_sizes

    assert sizes[-1] == largest
    assert list(sizes) == sorted(set(sizes))
    for smaller, larger in pairwise(sizes):
        assert larger <= 2 * smaller
        assert smaller < 8 or larger <= 1.5 * smaller + 1
