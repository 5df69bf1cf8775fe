"""Ranking metrics in NumPy, with what the user has seen removed; pure.

Formulas: recall, hit rate and binary nDCG as in Jarvelin & Kekalainen, "Cumulated gain-based
evaluation of IR techniques" (2002), the ideal list truncated at k; every user counts once.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recserve_trainer.interactions import Histories

Scorer = Callable[[NDArray[np.int32]], NDArray[np.float32]]
"""int32 [users] user rows -> float32 [users, items] scores, higher is better."""

_USERS_PER_CHUNK = 256
_SCORES_PER_CHUNK = 2**25  # 128 MiB, a few times over while they are being ranked


@dataclass(frozen=True, slots=True)
class RankingMetrics:
    """Means over the users who have something to find."""

    k: int
    user_count: int
    recall: float
    """Share of a user's held-out items among the k."""
    ndcg: float
    """Discounted gain of the k, as a share of the best possible."""
    hit_rate: float
    """Share of users with at least one held-out item among the k."""
    coverage: float
    """Share of the catalogue that is recommended to anybody."""

    def by_name(self) -> dict[str, float]:
        """Returns the values keyed as the manifest keeps them, e.g. `ndcg@10`."""
        return {
            f"recall@{self.k}": self.recall,
            f"ndcg@{self.k}": self.ndcg,
            f"hit_rate@{self.k}": self.hit_rate,
            f"coverage@{self.k}": self.coverage,
        }


def top_k(scores: NDArray[np.float32], k: int) -> NDArray[np.int32]:
    """Ranks each row, best first, equal scores by ascending column.

    Args:
        scores: [rows, items]; -inf marks what must not be ranked.
        k: 1 or more; more than `items` is taken as `items`.

    Returns:
        int32 [rows, min(k, items)]; -1 where fewer than k columns may be ranked.
    """
    k = min(k, scores.shape[1])
    kth_best = -np.partition(-scores, k - 1, axis=1)[:, k - 1]
    ranked = np.full((len(scores), k), -1, dtype=np.int32)
    for row, (row_scores, threshold) in enumerate(zip(scores, kth_best, strict=True)):
        eligible = np.flatnonzero((row_scores >= threshold) & (row_scores > -np.inf))
        best = eligible[np.argsort(-row_scores[eligible], kind="stable")][:k]
        ranked[row, : len(best)] = best
    return ranked


def users_per_chunk(item_count: int) -> int:
    """Returns for how many users at once a catalogue is scored, so that the scores fit memory."""
    return max(1, min(_USERS_PER_CHUNK, _SCORES_PER_CHUNK // item_count))


def evaluate(
    scorer: Scorer, relevant: Histories, seen: Histories, *, k: int, item_count: int
) -> RankingMetrics:
    """Ranks the unseen catalogue for every user with a relevant item, and averages.

    Args:
        scorer: gives the scores to rank by.
        relevant: held-out items per user.
        seen: items per user that are never recommended.
        k: length of the ranking.
        item_count: size of the catalogue, the base of coverage.
    """
    users = np.flatnonzero(np.diff(relevant.offsets)).astype(np.int32)
    recalls, ndcgs = np.zeros(len(users)), np.zeros(len(users))
    recommended = np.zeros(item_count, dtype=bool)
    step = users_per_chunk(item_count)
    for start in range(0, len(users), step):
        chunk = users[start : start + step]
        scores = np.array(scorer(chunk), dtype=np.float32)
        pairs = seen.pairs(chunk)
        scores[pairs[:, 0], pairs[:, 1]] = -np.inf
        for position, ranking in enumerate(top_k(scores, k)):
            recommended[ranking[ranking >= 0]] = True
            recalls[start + position], ndcgs[start + position] = score_ranking(
                ranking, relevant[int(chunk[position])]
            )
    return RankingMetrics(
        k=k,
        user_count=len(users),
        recall=float(recalls.mean()),
        ndcg=float(ndcgs.mean()),
        hit_rate=float((recalls > 0).mean()),
        coverage=float(recommended.mean()),
    )


def score_ranking(ranking: NDArray[np.int32], relevant: NDArray[np.int32]) -> tuple[float, float]:
    """Returns recall and nDCG of one ranking, int32 [k], against a non-empty set of items."""
    hits = np.isin(ranking, relevant)
    discounts = 1 / np.log2(np.arange(2, len(ranking) + 2))
    ideal = discounts[: len(relevant)].sum()
    return float(hits.sum() / len(relevant)), float(discounts[hits].sum() / ideal)
