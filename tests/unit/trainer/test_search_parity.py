"""The gate for searches among some items, scores of given ones, and similar ones."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from recserve_trainer.artifact.search_parity import check_searches
from recserve_trainer.errors import ExportError
from recserve_trainer.indexes.exact import ExactIndex
from recserve_trainer.indexes.scann import ScannIndex
from recserve_trainer.interactions import Histories
from recserve_trainer.retrieval import Embeddings

pytestmark = pytest.mark.tensorflow

USERS, ITEMS, LENGTH = 12, 120, 4
Found = dict[str, tf.Tensor]


def embeddings(users: int = USERS) -> Embeddings:
    random = np.random.default_rng(5)
    draw = lambda rows: random.normal(size=(rows, LENGTH)).astype(np.float32)  # noqa: E731
    return Embeddings(draw(users), draw(ITEMS))


def seen_by(users: int) -> Histories:
    """The first user has seen everything, the others one item each."""
    offsets = np.array([0, *(ITEMS + np.arange(users))])
    rows = np.concatenate([np.arange(ITEMS), np.arange(1, users) % ITEMS])
    return Histories(offsets, rows.astype(np.int32))


@pytest.mark.parametrize("users", [1, 3, USERS, 200])
def test_what_was_written_as_trained_passes(tmp_path: Path, users: int) -> None:
    model = embeddings(users)
    ExactIndex(model).save(tmp_path)

    check_searches(tmp_path, model, seen_by(users), is_exact=True)
    check_searches(tmp_path, model, seen_by(users), is_exact=False)


@pytest.mark.skipif(importlib.util.find_spec("scann") is None, reason="scann is not installed")
def test_an_approximate_index_that_keeps_its_promises_passes(tmp_path: Path) -> None:
    ScannIndex(embeddings()).save(tmp_path)

    check_searches(tmp_path, embeddings(), seen_by(USERS), is_exact=False)


class SpoiltIndex(ExactIndex):
    """An exact index of which one method's answer is spoilt before it is given."""

    def __init__(self, method: str, spoil: Callable[[Found], Found]) -> None:
        super().__init__(embeddings())
        owner = self.similarity if method == "search_similar" else self
        name = "search" if method == "search_similar" else method
        whole = getattr(owner, name)

        def spoilt(*arguments: tf.Tensor) -> Found:
            return spoil(whole(*arguments))

        # As a plain function: the signatures are traced from it.
        object.__setattr__(owner, name, spoilt)


def times(name: str, factor: float) -> Callable[[Found], Found]:
    return lambda found: {**found, name: found[name] * factor}


def worst_first(found: Found) -> Found:
    # Rows and scores fit, the order is that of rising scores.
    return {name: tf.reverse(values, [1]) for name, values in found.items()}


def finds_all(found: Found) -> Found:
    return {**found, "scores": tf.maximum(found["scores"], -1e3)}


@pytest.mark.parametrize(
    ("method", "spoil", "told"),
    [
        (
            "search_eligible",
            times("scores", 1.001),
            r"ranks eligible items for user row \d+ unlike",
        ),
        ("search_eligible", worst_first, r"ranks eligible items for user row \d+ unlike"),
        (
            "search_eligible",
            finds_all,
            r"ranks eligible items for user row 0 unlike.* instead of 0",
        ),
        ("score_items", times("scores", 1.001), "scores given items otherwise, by"),
        ("score_items", times("scores", np.nan), "scores given items otherwise, by"),
        ("embed_items", times("embeddings", 1.05), "items are otherwise similar, by"),
        ("embed_items", times("embeddings", np.nan), "items are otherwise similar, by"),
        ("search_similar", times("scores", 1.05), r"ranks items similar to item row \d+ unlike"),
        ("search_similar", finds_all, r"ranks items similar to item row \d+ unlike"),
    ],
    ids=[
        *("eligible estimates", "eligible out of order", "excluded among eligible"),
        *("other scores", "scores that are no numbers"),
        *("longer vectors", "vectors that are no numbers"),
        *("similar estimates", "excluded among similar"),
    ],
)
def test_anything_else_does_not_pass_and_is_named(
    tmp_path: Path, method: str, spoil: Callable[[Found], Found], told: str
) -> None:
    SpoiltIndex(method, spoil).save(tmp_path)

    with pytest.raises(ExportError, match=f"the exported (model )?{told}"):
        check_searches(tmp_path, embeddings(), seen_by(USERS), is_exact=True)
