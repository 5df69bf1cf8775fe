"""The gate for narrower questions about items: of some alone, of given ones, of similar ones."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from recserve_trainer.artifact.parity import TOLERANCE, Ranking, broken_promise, difference
from recserve_trainer.errors import ExportError
from recserve_trainer.evaluation.metrics import users_per_chunk
from recserve_trainer.indexes.similarity import covariance_root, per_length
from recserve_trainer.interactions import Histories
from recserve_trainer.retrieval import Embeddings

_QUERIES: Final = 32
_K: Final = 50
_ITEMS_PER_QUERY: Final = 8
_SHARES: Final = (0.0, 1.0, 0.5, 0.02)
"""Of the catalogue that is eligible, one mask each."""
_ITEMS_AT_ONCE: Final = 65_536
_SIMILARITY_TOLERANCE: Final = 1e-2
"""Float32 leaves that where an item's score varies least beside what is the same for all users."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked, whatever the queries are."""

    excluded: NDArray[np.int32]
    mask_of: NDArray[np.int32]
    masks: NDArray[np.bool_]

    def rankings(self, signature: Any, queries: NDArray[np.float32]) -> list[Ranking]:
        found = signature(
            query_embeddings=tf.constant(queries),
            k=tf.constant(_K),
            excluded=tf.constant(self.excluded),
            mask_of=tf.constant(self.mask_of),
            masks=tf.constant(self.masks),
        )
        return list(zip(found["item_rows"].numpy(), found["scores"].numpy(), strict=True))

    def allowed(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns the scores, -inf for what must not be found."""
        allowed = np.where(self.masks[self.mask_of], scores, np.float32(-np.inf))
        allowed[self.excluded[:, 0], self.excluded[:, 1]] = -np.inf
        return allowed


def check_searches(
    folder: Path, embeddings: Embeddings, histories: Histories, *, is_exact: bool
) -> None:
    """Reloads a SavedModel and compares eligible, scored and similar items with NumPy.

    Up to 32 users spread over the table are searched for, their histories excluded, where nothing,
    everything, half of the items and a fiftieth are eligible; so are up to 32 items, for similar
    ones. An approximate index need not find the best eligible items, but must keep its promises.

    Raises:
        ExportError: anything differs.
    """
    model = tf.saved_model.load(str(folder))
    random = np.random.default_rng(0)
    item_count = len(embeddings.items)
    users = _spread(len(embeddings.users), item_count)
    asked = _Asked(
        excluded=histories.pairs(users),
        mask_of=np.arange(len(users), dtype=np.int32) % len(_SHARES),
        masks=np.stack([random.random(item_count) < share for share in _SHARES]),
    )
    _check_eligible(model.signatures, embeddings, users, asked, is_exact)
    item_rows = random.integers(0, item_count, (len(users), _ITEMS_PER_QUERY), dtype=np.int32)
    _check_scores(model.signatures["score_items"], embeddings, users, item_rows)
    items = _spread(item_count, item_count)[: len(users)]
    _check_similar(model.signatures, embeddings, items, asked)


def _spread(row_count: int, item_count: int) -> NDArray[np.int32]:
    most = min(_QUERIES, row_count, users_per_chunk(item_count))
    return np.linspace(0, row_count - 1, most).astype(np.int32)


def _check_eligible(
    signatures: Any,
    embeddings: Embeddings,
    users: NDArray[np.int32],
    asked: _Asked,
    is_exact: bool,
) -> None:
    problem_of = difference if is_exact else broken_promise
    queries = embeddings.users[users]
    rankings = asked.rankings(signatures["search_eligible"], queries)
    expected = asked.allowed(embeddings.score(users))
    tolerances = TOLERANCE * np.maximum(1, np.abs(queries) @ np.abs(embeddings.items).max(axis=0))
    for place, user_row in enumerate(users):
        if problem := problem_of(rankings[place], expected[place], float(tolerances[place])):
            raise ExportError(
                f"the exported model ranks eligible items for user row {user_row} unlike the "
                f"trainer: {problem}"
            )


def _check_scores(
    signature: Any,
    embeddings: Embeddings,
    users: NDArray[np.int32],
    item_rows: NDArray[np.int32],
) -> None:
    queries, items = embeddings.users[users], embeddings.items[item_rows]
    scored = signature(query_embeddings=tf.constant(queries), item_rows=tf.constant(item_rows))
    gaps = np.abs(scored["scores"].numpy() - np.einsum("bl,bnl->bn", queries, items))
    allowed = TOLERANCE * np.maximum(1, np.einsum("bl,bnl->bn", np.abs(queries), np.abs(items)))
    # No comparison with NaN holds.
    if not (gaps <= allowed).all():
        raise ExportError(f"the exported model scores given items otherwise, by {gaps.max():.2g}")


def _check_similar(
    signatures: Any, embeddings: Embeddings, items: NDArray[np.int32], asked: _Asked
) -> None:
    similarities = _similarities(embeddings, items)
    vectors = signatures["embed_items"](item_rows=tf.constant(items))["embeddings"].numpy()
    gaps = np.abs(vectors @ vectors.T - similarities[:, items])
    if not (gaps <= _SIMILARITY_TOLERANCE).all():
        raise ExportError(f"the exported items are otherwise similar, by {gaps.max():.2g}")
    of_items = _Asked(
        asked.excluded[asked.excluded[:, 0] < len(items)], asked.mask_of[: len(items)], asked.masks
    )
    rankings = of_items.rankings(signatures["search_similar"], vectors)
    for item_row, ranking, expected in zip(
        items, rankings, of_items.allowed(similarities), strict=True
    ):
        if problem := difference(ranking, expected, _SIMILARITY_TOLERANCE):
            raise ExportError(
                f"the exported model ranks items similar to item row {item_row} unlike the "
                f"trainer: {problem}"
            )


def _similarities(embeddings: Embeddings, items: NDArray[np.int32]) -> NDArray[np.float32]:
    """Returns the similarity of some items to all, float32 [n, items]."""
    root = covariance_root(embeddings.users)
    shares = per_length(embeddings.items, root)
    units = (embeddings.items[items] @ root) * shares[items, None]
    similarities = np.empty((len(items), len(embeddings.items)), np.float32)
    for start in range(0, len(embeddings.items), _ITEMS_AT_ONCE):
        chunk = slice(start, start + _ITEMS_AT_ONCE)
        similarities[:, chunk] = (units @ (embeddings.items[chunk] @ root).T) * shares[chunk]
    return similarities
