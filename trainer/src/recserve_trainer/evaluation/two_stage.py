"""How a fitted model scores, both stages included, without its SavedModel."""

import numpy as np
from numpy.typing import NDArray

from recserve_trainer.evaluation.metrics import Scorer, top_k
from recserve_trainer.interactions import Histories
from recserve_trainer.retrieval import RetrievalModel


def model_scorer(model: RetrievalModel, seen: Histories) -> Scorer:
    """Returns what scores as the exported model does.

    With a ranker only the candidates of the first stage have scores, all other items have -inf:
    the candidates are the best items that a user has not seen, so `seen` must be what the
    evaluation removes as well.
    """
    ranker = model.stages.ranker
    if ranker is None:
        return model.embeddings.score

    def score(user_rows: NDArray[np.int32]) -> NDArray[np.float32]:
        retrieval_scores = model.embeddings.score(user_rows)
        pairs = seen.pairs(user_rows)
        retrieval_scores[pairs[:, 0], pairs[:, 1]] = -np.inf
        # Where a user has fewer left, any other rows fill up; their score of -inf says so.
        found = top_k(retrieval_scores, ranker.candidates)
        item_rows = np.sort(_filled(found, retrieval_scores.shape[1]), axis=1)
        found_scores = np.take_along_axis(retrieval_scores, item_rows, axis=1)
        ranked = ranker.oracle(user_rows, item_rows, found_scores)
        scores = np.full_like(retrieval_scores, -np.inf)
        np.put_along_axis(scores, item_rows, np.where(found_scores > -np.inf, ranked, -np.inf), 1)
        return scores

    return score


def _filled(found: NDArray[np.int32], item_count: int) -> NDArray[np.int32]:
    for row in found:
        missing = int((row < 0).sum())
        if missing:
            others = np.setdiff1d(np.arange(item_count, dtype=np.int32), row)
            row[len(row) - missing :] = others[:missing]
    return found
