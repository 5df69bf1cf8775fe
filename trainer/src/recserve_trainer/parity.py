"""The gate before publishing: what was written must rank as the trainer does."""

from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from recserve_trainer.errors import ExportError
from recserve_trainer.evaluate import top_k
from recserve_trainer.interactions import Histories
from recserve_trainer.retrieval import Embeddings

_USERS_CHECKED = 256
_K = 100
_TOLERANCE = 1e-5


def check_parity(folder: Path, embeddings: Embeddings, histories: Histories) -> None:
    """Reloads a SavedModel and compares its top k with a NumPy brute force.

    Up to 256 users spread over the table are ranked, their histories excluded. An item may stand
    in another's place only if their scores are equal within 1e-5.

    Raises:
        ExportError: any ranking differs, or the vectors are not numbers.
    """
    if not (np.isfinite(embeddings.users).all() and np.isfinite(embeddings.items).all()):
        raise ExportError("the model diverged: its vectors are not numbers; lower --learning-rate")
    user_count = len(embeddings.users)
    users = np.unique(np.linspace(0, user_count - 1, _USERS_CHECKED).astype(np.int32))
    expected = embeddings.score(users)
    pairs = histories.pairs(users)
    expected[pairs[:, 0], pairs[:, 1]] = -np.inf

    recommend = tf.saved_model.load(str(folder)).signatures["recommend"]
    answer = recommend(user_rows=tf.constant(users), k=tf.constant(_K), excluded=tf.constant(pairs))
    rows, scores = answer["item_rows"].numpy(), answer["scores"].numpy()
    for position, user_row in enumerate(users):
        problem = _difference(rows[position], scores[position], expected[position])
        if problem:
            raise ExportError(
                f"the exported model ranks user row {user_row} unlike the trainer: {problem}"
            )


def _difference(
    rows: NDArray[np.int32], scores: NDArray[np.float32], expected: NDArray[np.float32]
) -> str:
    served = rows[scores > -np.inf]
    oracle = top_k(expected[None, :], len(rows))[0]
    oracle = oracle[oracle >= 0]
    if len(served) != len(oracle):
        return f"{len(served)} items instead of {len(oracle)}"
    if len(set(served.tolist())) != len(served):
        return "an item occurs twice"
    allowed = _TOLERANCE * np.maximum(1, np.abs(expected[oracle]))
    gaps = np.abs(expected[served] - expected[oracle])
    if (gaps > allowed).any() or not np.allclose(
        scores[: len(served)], expected[served], rtol=_TOLERANCE, atol=_TOLERANCE
    ):
        return f"scores differ by up to {gaps.max():.2g}"
    return ""
