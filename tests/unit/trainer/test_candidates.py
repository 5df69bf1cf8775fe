"""The gate of an approximate index: which broken promises it finds, and what recall it measures."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from recserve_trainer.artifact.parity import check_candidates
from recserve_trainer.errors import ExportError
from recserve_trainer.evaluation.metrics import top_k
from recserve_trainer.indexes.exact import ExactIndex
from recserve_trainer.interactions import Histories
from recserve_trainer.retrieval import Embeddings

pytestmark = pytest.mark.tensorflow

USERS, ITEMS, LENGTH = 5, 60, 3
Found = dict[str, tf.Tensor]


def embeddings() -> Embeddings:
    random = np.random.default_rng(5)
    draw = lambda rows: random.normal(size=(rows, LENGTH)).astype(np.float32)  # noqa: E731
    return Embeddings(draw(USERS), draw(ITEMS))


def histories(counts: list[int]) -> Histories:
    """Users who have seen so many items, from row 0 on."""
    offsets = np.cumsum([0, *counts]).astype(np.int64)
    rows = [np.arange(count, dtype=np.int32) for count in counts]
    return Histories(offsets, np.concatenate(rows))


SEEN = histories([0, 3, 20, ITEMS - 4, ITEMS])


class SpoiltIndex(ExactIndex):
    """An exact index whose answers are spoilt before they are given."""

    def __init__(self, spoil: Callable[[Found], Found]) -> None:
        super().__init__(embeddings())
        self._spoil = spoil

    def search(self, query_embeddings: tf.Tensor, k: tf.Tensor, excluded: tf.Tensor) -> Found:
        found = self._spoil(super().search(query_embeddings, ITEMS, excluded))
        return {name: values[:, : tf.minimum(k, ITEMS)] for name, values in found.items()}


def one_twice(found: Found) -> Found:
    return {name: tf.gather(found[name], [0, 0, *range(2, ITEMS)], axis=1) for name in found}


def one_missing(found: Found) -> Found:
    is_last = found["scores"] == tf.reduce_min(found["scores"], axis=1, keepdims=True)
    return {**found, "scores": tf.where(is_last, float("-inf"), found["scores"])}


def estimates(found: Found) -> Found:
    return {**found, "scores": found["scores"] * 1.001}


def seen_ones(found: Found) -> Found:
    return {**found, "scores": tf.where(found["scores"] == float("-inf"), -9.0, found["scores"])}


def out_of_order(found: Found) -> Found:
    return {name: tf.gather(found[name], [1, 0, *range(2, ITEMS)], axis=1) for name in found}


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (one_twice, "an item occurs twice"),
        (one_missing, r"59 items instead of 60"),
        (estimates, "scores differ by up to"),
        (seen_ones, r"60 items instead of 57"),
        (out_of_order, "scores do not descend"),
    ],
)
def test_a_broken_promise_does_not_pass_and_is_named(
    tmp_path: Path, spoil: Callable[[Found], Found], problem: str
) -> None:
    SpoiltIndex(spoil).save(tmp_path)

    with pytest.raises(ExportError, match=rf"ranks user row \d unlike the trainer: .*{problem}"):
        check_candidates(tmp_path, embeddings(), SEEN)


class HalfIndex(ExactIndex):
    """Finds items of even rows alone, unless asked for more than the 10 of which recall is told."""

    def search(self, query_embeddings: tf.Tensor, k: tf.Tensor, excluded: tf.Tensor) -> Found:
        found = super().search(query_embeddings, ITEMS, excluded)
        is_hidden = (found["item_rows"] % 2 == 1) & (k <= 10)
        best = tf.math.top_k(
            tf.where(is_hidden, float("-inf"), found["scores"]), tf.minimum(k, ITEMS)
        )
        rows = tf.gather(found["item_rows"], best.indices, batch_dims=1)
        return {"item_rows": rows, "scores": best.values}


def test_recall_is_the_mean_over_users_with_or_without_exclusions_whichever_is_less(
    tmp_path: Path,
) -> None:
    HalfIndex(embeddings()).save(tmp_path)

    found = check_candidates(tmp_path, embeddings(), SEEN)

    scores, recalls = embeddings().score(np.arange(USERS)), []
    for pairs in (np.empty((0, 2), np.int32), SEEN.pairs(np.arange(USERS))):
        scores[pairs[:, 0], pairs[:, 1]] = -np.inf
        best = [ranking[ranking >= 0] for ranking in top_k(scores, 10)]
        # The last user has seen everything: nothing is missing.
        recalls.append(np.mean([(rows % 2 == 0).mean() if len(rows) else 1.0 for rows in best]))
    assert recalls[0] != recalls[1]
    assert found == pytest.approx(min(recalls))


def test_what_scores_as_high_as_the_tenth_is_found_as_well(tmp_path: Path) -> None:
    # All items alike: whichever ten are given, none is better.
    alike = Embeddings(np.ones((USERS, LENGTH), np.float32), np.ones((ITEMS, LENGTH), np.float32))
    HalfIndex(alike).save(tmp_path)

    assert check_candidates(tmp_path, alike, histories([0] * USERS)) == 1.0


def test_an_exact_index_finds_everything(tmp_path: Path) -> None:
    ExactIndex(embeddings()).save(tmp_path)

    assert check_candidates(tmp_path, embeddings(), SEEN) == 1.0
