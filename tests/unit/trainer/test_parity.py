"""The gate: which differences between the written and the trained model pass it."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from recserve_trainer.artifact.parity import check_parity, check_vectors
from recserve_trainer.errors import ExportError
from recserve_trainer.indexes.exact import ExactIndex
from recserve_trainer.interactions import Histories
from recserve_trainer.retrieval import Embeddings

pytestmark = pytest.mark.tensorflow

USERS, ITEMS, LENGTH = 4, 12, 3
NOTHING_SEEN = Histories(np.zeros(USERS + 1, np.int64), np.empty(0, np.int32))


def embeddings() -> Embeddings:
    random = np.random.default_rng(5)
    draw = lambda rows: random.normal(size=(rows, LENGTH)).astype(np.float32)  # noqa: E731
    return Embeddings(draw(USERS), draw(ITEMS))


def written(folder: Path, model: Embeddings) -> Path:
    ExactIndex(model).save(folder)
    return folder


def test_what_was_written_as_trained_passes(tmp_path: Path) -> None:
    seen = Histories(np.array([0, 2, 2, 5, 5]), np.array([0, 3, 1, 2, 11], np.int32))

    check_parity(written(tmp_path, embeddings()), embeddings(), seen)


def test_a_user_who_has_seen_everything_passes(tmp_path: Path) -> None:
    seen = Histories(np.array([0, ITEMS, ITEMS, ITEMS, ITEMS]), np.arange(ITEMS, dtype=np.int32))

    check_parity(written(tmp_path, embeddings()), embeddings(), seen)


def test_items_of_equal_score_may_stand_in_each_others_place(tmp_path: Path) -> None:
    # Items 0 and 1 are alike to 1e-7, in the trained model this way round and in the written that.
    trained, other = embeddings(), embeddings()
    trained.items[1] = trained.items[0] * np.float32(1 + 1e-7)
    other.items[:] = trained.items
    other.items[[0, 1]] = trained.items[[1, 0]]

    check_parity(written(tmp_path, other), trained, NOTHING_SEEN)


@pytest.mark.parametrize("change", ["one item", "one user", "users swapped", "items swapped"])
def test_a_changed_vector_does_not_pass_and_the_user_is_named(tmp_path: Path, change: str) -> None:
    changed = embeddings()
    if change == "one item":
        changed.items[7] += 0.01
    elif change == "one user":
        changed.users[USERS - 1] *= 1.001
    elif change == "users swapped":
        changed.users[[0, 1]] = changed.users[[1, 0]]
    else:
        changed.items[[2, 9]] = changed.items[[9, 2]]

    with pytest.raises(ExportError, match=r"ranks user row \d unlike the trainer: scores differ"):
        check_parity(written(tmp_path, changed), embeddings(), NOTHING_SEEN)


def test_a_catalogue_that_lost_an_item_does_not_pass(tmp_path: Path) -> None:
    short = Embeddings(embeddings().users, embeddings().items[:-1])

    with pytest.raises(ExportError, match="unlike the trainer"):
        check_parity(written(tmp_path, short), embeddings(), NOTHING_SEEN)


class ForgetfulIndex(ExactIndex):
    """An index that recommends what the user has seen."""

    def search(
        self, query_embeddings: tf.Tensor, k: tf.Tensor, excluded: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        return super().search(query_embeddings, k, excluded[:0])


def test_a_model_that_recommends_what_was_seen_does_not_pass(tmp_path: Path) -> None:
    seen = Histories(np.array([0, 0, 0, 0, 1]), np.array([4], np.int32))
    ForgetfulIndex(embeddings()).save(tmp_path)

    with pytest.raises(ExportError, match="user row 3 unlike the trainer"):
        check_parity(tmp_path, embeddings(), seen)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e16])
@pytest.mark.parametrize("side", ["users", "items"])
def test_vectors_that_are_not_numbers_do_not_pass(side: str, value: float) -> None:
    diverged = embeddings()
    getattr(diverged, side)[1, 1] = value

    with pytest.raises(ExportError, match="the model diverged"):
        check_vectors(diverged)
