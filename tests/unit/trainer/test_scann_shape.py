"""What an approximate index looks like from outside: signatures, size, catalogues, settings."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from recserve_trainer.datasets.clustered import clustered_vectors
from recserve_trainer.errors import ExportError
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


def test_the_signatures_are_those_of_the_exact_index(tmp_path: Path) -> None:
    vectors = clustered_vectors(100, 5, seed=2)
    embeddings = Embeddings(vectors[:7], vectors)
    for kind, index in (("scann", ScannIndex(embeddings)), ("exact", ExactIndex(embeddings))):
        index.save(tmp_path / kind)
    folders = (tmp_path / "scann", tmp_path / "exact")
    one, other = (tf.saved_model.load(str(each)).signatures for each in folders)

    assert set(one) == set(other)
    for name in one:
        assert one[name].structured_input_signature == other[name].structured_input_signature
        dtypes = [
            {key: spec.dtype for key, spec in each[name].structured_outputs.items()}
            for each in (one, other)
        ]
        assert dtypes[0] == dtypes[1]


def test_the_vectors_are_stored_once(tmp_path: Path) -> None:
    vectors = clustered_vectors(20_000, 64, seed=1)
    ScannIndex(Embeddings(vectors[:10], vectors)).save(tmp_path)

    [variables] = tmp_path.glob("variables/variables.data-*")
    # Besides them: 32 bytes of codes, a leaf's number and a length per item, the centres of 141
    # leaves, and what makes vectors of similarity.
    assert variables.stat().st_size < vectors.nbytes + 20_000 * 44 + 141 * 64 * 4 * 4 + 64 * 64 * 4


@pytest.mark.parametrize("item_count", [16, 17, 100])
def test_small_catalogues_are_answered_exactly(item_count: int) -> None:
    vectors = clustered_vectors(item_count, 5, seed=2)
    index, users = ScannIndex(Embeddings(vectors[:7], vectors)), np.arange(7, dtype=np.int32)

    found = index.recommend(users, tf.constant(10), tf.zeros([0, 2], tf.int32))

    assert np.array_equal(found["item_rows"], top_k(vectors[:7] @ vectors.T, 10))


def test_a_catalogue_too_small_for_scann_is_refused_with_what_to_do() -> None:
    vectors = clustered_vectors(15, 5, seed=2)

    with pytest.raises(ExportError, match="16 items or more that training knows, here are 15; use"):
        ScannIndex(Embeddings(vectors, vectors))


@pytest.mark.parametrize(
    ("item_count", "leaves", "leaves_to_search"),
    [(16, 4, 1), (1682, 41, 4), (100_000, 316, 31), (1_000_000, 1000, 100)],
)
def test_the_defaults_follow_the_size_of_the_catalogue(
    item_count: int, leaves: int, leaves_to_search: int
) -> None:
    config = ScannConfig.of(item_count)

    assert (config.leaves, config.leaves_to_search) == (leaves, leaves_to_search)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"leaves": 0}, "leaves is 0, must be 1 or more"),
        ({"leaves_to_search": 0}, "leaves_to_search is 0, must be 1 or more"),
        ({"leaves_to_search": 11}, "leaves_to_search is 11, must be at most 10"),
        ({"dimensions_per_block": 0}, "dimensions_per_block is 0, must be 1 or more"),
        ({"candidates": 0}, "candidates is 0, must be 1 or more"),
        ({"candidates_per_k": 0}, "candidates_per_k is 0, must be 1 or more"),
        ({"exact_share": 0}, "exact_share is 0, must be 1 or more"),
    ],
)
def test_a_setting_out_of_range_says_what_was_seen_and_what_is_allowed(
    fields: dict[str, int], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        ScannConfig(**{"leaves": 10, "leaves_to_search": 1, **fields})
