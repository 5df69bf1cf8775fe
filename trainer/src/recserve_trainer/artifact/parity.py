"""The gate before publishing: what was written must rank as the trainer does."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from recserve_trainer.errors import ExportError
from recserve_trainer.evaluation.metrics import top_k, users_per_chunk
from recserve_trainer.interactions import Histories
from recserve_trainer.retrieval import Embeddings

_USERS_CHECKED = 256
_K = 100
_RECALL_K = 10
TOLERANCE = 1e-5
"""By how much a score may differ, of itself or of 1 if that is more."""
_LARGEST = 1e15

Ranking: TypeAlias = tuple[NDArray[np.int32], NDArray[np.float32]]
"""Item rows and scores, both [k], as a SavedModel gives them for one user."""


def check_vectors(embeddings: Embeddings) -> None:
    """Makes sure that inner products of the vectors are numbers.

    Raises:
        ExportError: they need not be.
    """
    for vectors in (embeddings.users, embeddings.items):
        # The extremes of what holds a NaN are NaN, and no comparison with NaN holds.
        if not (vectors.min() >= -_LARGEST and vectors.max() <= _LARGEST):
            raise ExportError(
                f"the model diverged: its vectors are not numbers from {-_LARGEST:g} to "
                f"{_LARGEST:g}; lower --learning-rate"
            )


def check_parity(folder: Path, embeddings: Embeddings, histories: Histories) -> None:
    """Reloads an exact SavedModel and compares its top 100 with a NumPy brute force.

    Up to 256 users spread over the table are ranked, their histories excluded. An item may stand
    in another's place only if their scores are equal within 1e-5.

    Raises:
        ExportError: any ranking differs.
    """
    recommend = _recommend(folder)
    for chunk in _chunks(embeddings, histories):
        _check(chunk, recommend(chunk.users, _K, chunk.seen), chunk.unseen_scores(), difference)


def check_candidates(folder: Path, embeddings: Embeddings, histories: Histories) -> float:
    """Reloads an approximate SavedModel and compares it with a NumPy brute force.

    Up to 256 users spread over the table are ranked, with their histories excluded and without.
    Whatever is found must have its exact score, must not be excluded nor occur twice, and must be
    as much as was asked for.

    Returns:
        The share of the exact top 10 that is found, with or without exclusions, whichever is
        less. An item counts as found if one that scores as high, within 1e-5 of it, is.

    Raises:
        ExportError: a ranking breaks a promise, whatever its recall.
    """
    recommend = _recommend(folder)
    nothing = np.empty((0, 2), np.int32)
    recalls: list[tuple[float, float]] = []
    for chunk in _chunks(embeddings, histories):
        _check(chunk, recommend(chunk.users, _K, nothing), chunk.scores, broken_promise)
        everything = _recalls(recommend(chunk.users, _RECALL_K, nothing), chunk.scores)
        unseen_scores = chunk.unseen_scores()
        _check(chunk, recommend(chunk.users, _K, chunk.seen), unseen_scores, broken_promise)
        unseen = _recalls(recommend(chunk.users, _RECALL_K, chunk.seen), unseen_scores)
        recalls += zip(everything, unseen, strict=True)
    return float(np.mean(recalls, axis=0).min())


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Some users, what they have seen, and how the trainer scores the catalogue for them."""

    users: NDArray[np.int32]
    seen: NDArray[np.int32]
    scores: NDArray[np.float32]

    def unseen_scores(self) -> NDArray[np.float32]:
        """Returns the scores, -inf for what was seen; `scores` itself is overwritten."""
        self.scores[self.seen[:, 0], self.seen[:, 1]] = -np.inf
        return self.scores


def _chunks(embeddings: Embeddings, histories: Histories) -> Iterator[_Chunk]:
    user_count, item_count = len(embeddings.users), len(embeddings.items)
    users = np.unique(np.linspace(0, user_count - 1, _USERS_CHECKED).astype(np.int32))
    step = users_per_chunk(item_count)
    for start in range(0, len(users), step):
        chunk = users[start : start + step]
        yield _Chunk(chunk, histories.pairs(chunk), embeddings.score(chunk))


def _recommend(
    folder: Path,
) -> Callable[[NDArray[np.int32], int, NDArray[np.int32]], list[Ranking]]:
    # The signature lives as long as the model does.
    model = tf.saved_model.load(str(folder))

    def recommend(users: NDArray[np.int32], k: int, excluded: NDArray[np.int32]) -> list[Ranking]:
        answer: Any = model.signatures["retrieve"](
            user_rows=tf.constant(users), k=tf.constant(k), excluded=tf.constant(excluded)
        )
        return list(zip(answer["item_rows"].numpy(), answer["scores"].numpy(), strict=True))

    return recommend


def _check(
    chunk: _Chunk,
    rankings: list[Ranking],
    scores: NDArray[np.float32],
    problem_of: Callable[[Ranking, NDArray[np.float32]], str],
) -> None:
    for user_row, ranking, expected in zip(chunk.users, rankings, scores, strict=True):
        if problem := problem_of(ranking, expected):
            raise ExportError(
                f"the exported model ranks user row {user_row} unlike the trainer: {problem}"
            )


def difference(
    ranking: Ranking, expected: NDArray[np.float32], tolerance: float = TOLERANCE
) -> str:
    """Returns how a ranking is not the one that follows from the expected scores, or "".

    Args:
        ranking: of one user.
        expected: float32 [items], -inf where an item must not be found.
        tolerance: by how much scores may differ, of themselves or of 1 if that is more.
    """
    rows, scores = ranking
    served = rows[scores > -np.inf]
    oracle = top_k(expected[None, :], len(rows))[0]
    oracle = oracle[oracle >= 0]
    if len(served) != len(oracle):
        return f"{len(served)} items instead of {len(oracle)}"
    if len(set(served.tolist())) != len(served):
        return "an item occurs twice"
    allowed = tolerance * np.maximum(1, np.abs(expected[oracle]))
    gaps = np.abs(expected[served] - expected[oracle])
    if (gaps > allowed).any() or not np.allclose(
        scores[: len(served)], expected[served], rtol=tolerance, atol=tolerance
    ):
        return f"scores differ by up to {gaps.max():.2g}"
    return ""


def broken_promise(
    ranking: Ranking, expected: NDArray[np.float32], tolerance: float = TOLERANCE
) -> str:
    """Returns what no ranking may be, exact or approximate, but this one is, or "".

    Arguments as of `difference`.
    """
    rows, scores = ranking
    served = rows[scores > -np.inf]
    wanted = min(len(rows), int((expected > -np.inf).sum()))
    if len(served) != wanted:
        return f"{len(served)} items instead of {wanted}"
    if len(set(served.tolist())) != len(served):
        return "an item occurs twice"
    if (expected[served] == -np.inf).any():
        return "an item is there that must not be"
    gaps = np.abs(scores[: len(served)] - expected[served])
    if (gaps > tolerance * np.maximum(1, np.abs(expected[served]))).any():
        return f"scores differ by up to {gaps.max():.2g}"
    if (np.diff(scores[: len(served)]) > 0).any():
        return "scores do not descend"
    return ""


def _recalls(rankings: list[Ranking], scores: NDArray[np.float32]) -> list[float]:
    """Returns the share of the exact top 10 in each ranking, [users]; 1 if there are none."""
    recalls: list[float] = []
    for (rows, served_scores), expected in zip(rankings, scores, strict=True):
        oracle = top_k(expected[None, :], _RECALL_K)[0]
        best = expected[oracle[oracle >= 0]]
        # What scores as high as the last of them is as good.
        threshold = best[-1:] - TOLERANCE * np.abs(best[-1:])
        found = expected[rows[served_scores > -np.inf]] >= threshold
        recalls.append(float(found.sum() / len(best)) if len(best) else 1.0)
    return recalls
