"""The gate for query tower and ranker: what was written must compute as the trainer does."""

from pathlib import Path
from typing import Any, Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from recserve_trainer.errors import ExportError
from recserve_trainer.interactions import Histories
from recserve_trainer.retrieval import ItemTower, Queries, QueryTower, Ranker, RetrievalModel

_USERS_CHECKED: Final = 64
_ITEMS_CHECKED: Final = 16
_TOLERANCE: Final = 1e-3
"""Of the largest number of a row: float32 in another order of summation; a solve loses digits."""


def check_stages(folder: Path, model: RetrievalModel, histories: Histories) -> None:
    """Reloads a SavedModel and compares both stages with their oracles.

    Up to 64 users spread over the table are asked for: by history, with ratings, without and mixed,
    features at random; and by id for the order of the candidates that were retrieved for them. What
    the entries of the histories add to scores must add up to these.

    Raises:
        ExportError: they differ, or are not numbers.
    """
    loaded, stages = tf.saved_model.load(str(folder)), model.stages
    users = np.linspace(0, len(histories) - 1, min(_USERS_CHECKED, len(histories)))
    rows = np.unique(users.astype(np.int32))
    if stages.query_tower is not None:
        queries = _queries(stages.query_tower, histories, rows)
        embedded = stages.query_tower.oracle(queries)
        _check_tower(loaded.signatures["embed_queries"], queries, embedded)
        _check_explained(loaded.signatures["explain"], model.embeddings.items, queries, embedded)
    if stages.ranker is not None:
        _check_ranker(loaded.signatures, stages.ranker, rows)
    if stages.item_tower is not None:
        _check_item_tower(loaded.signatures["embed_new_items"], stages.item_tower)


def _queries(tower: QueryTower, histories: Histories, rows: NDArray[np.int32]) -> Queries:
    random = np.random.default_rng(0)
    history = histories.pairs(rows)
    ratings = random.integers(1, 6, len(history)).astype(np.float32)
    ratings[history[:, 0] % 3 == 0] = np.nan
    ratings[random.random(len(history)) < 0.1] = np.nan
    width = sum(feature.width for feature in tower.features)
    return Queries(history, ratings, (random.random((len(rows), width)) < 0.3).astype(np.float32))


def _check_tower(signature: Any, queries: Queries, embedded: NDArray[np.float32]) -> None:
    answer = signature(
        history=tf.constant(queries.history),
        ratings=tf.constant(queries.ratings),
        features=tf.constant(queries.features),
    )
    _compare("query tower", answer["embeddings"].numpy(), embedded)


def _check_explained(
    signature: Any, items: NDArray[np.float32], queries: Queries, embedded: NDArray[np.float32]
) -> None:
    shape = len(embedded), _ITEMS_CHECKED
    item_rows = np.random.default_rng(0).integers(0, len(items), shape, dtype=np.int32)
    told = signature(
        history=tf.constant(queries.history),
        ratings=tf.constant(queries.ratings),
        features=tf.constant(queries.features),
        item_rows=tf.constant(item_rows),
    )
    sums = np.array(told["base"])
    np.add.at(sums, queries.history[:, 0], told["contributions"].numpy())
    products = embedded[:, None, :] * items[item_rows]
    # A score may be small beside what it is the sum of.
    _compare("explanation", sums, products.sum(axis=2), np.abs(products).sum(axis=2))


def _check_item_tower(signature: Any, tower: ItemTower) -> None:
    width = sum(feature.width for feature in tower.features)
    drawn = np.random.default_rng(0).random((_ITEMS_CHECKED, width))
    features = (drawn < 0.3).astype(np.float32)
    answer = signature(features=tf.constant(features))
    _compare("item tower", answer["embeddings"].numpy(), tower.oracle(features))


def _check_ranker(signatures: Any, ranker: Ranker, rows: NDArray[np.int32]) -> None:
    nothing = tf.zeros([0, 2], tf.int32)
    found = signatures["retrieve"](
        user_rows=tf.constant(rows), k=tf.constant(ranker.candidates), excluded=nothing
    )
    item_rows = found["item_rows"].numpy()
    ranked = signatures["rank"](user_rows=tf.constant(rows), item_rows=found["item_rows"])
    oracle = ranker.oracle(rows, item_rows, found["scores"].numpy())
    _compare("ranker", ranked["scores"].numpy(), oracle)


def _compare(
    stage: str,
    found: NDArray[np.float32],
    expected: NDArray[np.float32],
    sizes: NDArray[np.float32] | None = None,
) -> None:
    """Compares row by row, in shares of the largest of `sizes`, or else of what is expected."""
    if found.shape != expected.shape:
        raise ExportError(f"the exported {stage} gives {found.shape} instead of {expected.shape}")
    sizes = expected if sizes is None else sizes
    scale = np.abs(sizes).max(axis=1, keepdims=True, initial=1e-6)
    gap = np.abs(found - expected) / scale
    # Of what holds a NaN the maximum is NaN, and no comparison with NaN holds.
    if not gap.max(initial=0) <= _TOLERANCE:
        raise ExportError(f"the exported {stage} differs from the trainer by {gap.max():.2g}")
