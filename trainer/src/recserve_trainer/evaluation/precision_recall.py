"""Precision against recall as lists grow longer, averaged over users; pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recserve_trainer.evaluation.metrics import Rankings
from recserve_trainer.interactions import Histories


@dataclass(frozen=True, slots=True)
class PrecisionRecall:
    """One point for each length of a list: entry k - 1 is of lists of k items."""

    precision: NDArray[np.float64]
    """[lengths]: share of the k that is relevant, mean over users."""
    recall: NDArray[np.float64]
    """[lengths]: share of a user's relevant items among the k, mean over users."""


def precision_recall(rankings: Rankings, relevant: Histories) -> PrecisionRecall:
    """Cuts rankings after 1, 2, ... places and averages over users at each cut.

    Precision divides by k also where fewer places are filled, as `precision@k` does elsewhere.

    Args:
        rankings: one or more, of users who have a relevant item each.
        relevant: held-out items per user.
    """
    longest = rankings.item_rows.shape[1]
    found, recall = np.zeros(longest), np.zeros(longest)
    for user, ranking in zip(rankings.user_rows.tolist(), rankings.item_rows, strict=True):
        hits = np.cumsum(np.isin(ranking, relevant[user]))
        found += hits
        recall += hits / len(relevant[user])
    user_count = len(rankings.user_rows)
    return PrecisionRecall(
        precision=found / user_count / np.arange(1, longest + 1),
        recall=recall / user_count,
    )
