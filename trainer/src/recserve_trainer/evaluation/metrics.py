"""Ranking metrics in NumPy, with what the user has seen removed; pure.

Formulas: recall, hit rate and binary nDCG as in Jarvelin & Kekalainen, "Cumulated gain-based
evaluation of IR techniques" (2002), the ideal list truncated at k; every user counts once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, Self

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

    @classmethod
    def of(cls, found: "UserMetrics", rankings: "Rankings", item_count: int) -> Self:
        """Averages what was found of each user; coverage is of the catalogue of `item_count`."""
        listed = rankings.item_rows
        return cls(
            k=found.k,
            user_count=len(found.user_rows),
            recall=float(found.recall.mean()),
            ndcg=float(found.ndcg.mean()),
            hit_rate=float((found.recall > 0).mean()),
            coverage=len(np.unique(listed[listed >= 0])) / item_count,
        )

    def by_name(self) -> dict[str, float]:
        """Returns the values keyed as the manifest keeps them, e.g. `ndcg@10`."""
        return {
            f"recall@{self.k}": self.recall,
            f"ndcg@{self.k}": self.ndcg,
            f"hit_rate@{self.k}": self.hit_rate,
            f"coverage@{self.k}": self.coverage,
        }


class Excluded(Protocol):
    """What must not be recommended to whom; `Histories` is one: what each user has seen."""

    def pairs(self, user_rows: NDArray[np.int32]) -> NDArray[np.int32]:
        """Returns int32 [n, 2]: (position in `user_rows`, item row), each pair once."""
        ...


@dataclass(frozen=True, slots=True)
class Rankings:
    """One ranking per user, as a model gave it."""

    user_rows: NDArray[np.int32]
    """[users], distinct."""
    item_rows: NDArray[np.int32]
    """[users, k], best first, each item once in a row; -1 fills up at the end."""


@dataclass(frozen=True, slots=True)
class UserMetrics:
    """How good each user's ranking is, to be averaged, or paired with another model's."""

    k: int
    user_rows: NDArray[np.int32]
    """[users]; the other arrays are float64 [users]."""
    ndcg: NDArray[np.float64]
    """Discounted gain of the k, as a share of the best possible."""
    recall: NDArray[np.float64]
    """Share of the relevant items among the k."""
    precision: NDArray[np.float64]
    """Share of the k that is relevant."""
    average_precision: NDArray[np.float64]
    """Sum of the precision at each hit, divided by the number of relevant items, also where that is
    above k; its mean is the MAP of recommenders-team, `recommenders/evaluation`."""

    def by_name(self) -> dict[str, NDArray[np.float64]]:
        """Returns the arrays by name, e.g. `ndcg@10`."""
        return {
            f"ndcg@{self.k}": self.ndcg,
            f"recall@{self.k}": self.recall,
            f"precision@{self.k}": self.precision,
            f"map@{self.k}": self.average_precision,
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
    rankings = rank(scorer, users, seen, k=k, item_count=item_count)
    found = score_rankings(rankings, relevant, k=k)
    return RankingMetrics.of(found, rankings, item_count)


def rank(
    scorer: Scorer,
    user_rows: NDArray[np.int32],
    excluded: Excluded,
    *,
    k: int,
    item_count: int,
) -> Rankings:
    """Ranks the catalogue for each of the users, without what is excluded for them.

    Args:
        scorer: gives the scores to rank by; equal ones rank by ascending item row.
        user_rows: int32 [users].
        excluded: what is never recommended to whom.
        k: length of the rankings; more than `item_count` is taken as `item_count`.
        item_count: size of the catalogue.
    """
    ranked = np.full((len(user_rows), min(k, item_count)), -1, np.int32)
    step = users_per_chunk(item_count)
    for start in range(0, len(user_rows), step):
        chunk = user_rows[start : start + step]
        scores = np.array(scorer(chunk), dtype=np.float32)
        pairs = excluded.pairs(chunk)
        scores[pairs[:, 0], pairs[:, 1]] = -np.inf
        ranked[start : start + step] = top_k(scores, k)
    return Rankings(user_rows, ranked)


def score_rankings(rankings: Rankings, relevant: Histories, *, k: int) -> UserMetrics:
    """Scores one ranking per user, wherever it comes from.

    Args:
        rankings: of users who have a relevant item each.
        relevant: held-out items per user.
        k: places that precision divides by, also where fewer are filled.
    """
    user_rows, places = rankings.user_rows, np.arange(rankings.item_rows.shape[1])
    counts = np.diff(relevant.offsets)[user_rows]
    hits = np.zeros(rankings.item_rows.shape, dtype=bool)
    for position, user in enumerate(user_rows.tolist()):
        hits[position] = np.isin(rankings.item_rows[position], relevant[user])
    discounts = 1 / np.log2(places + 2)
    ideals = np.concatenate([[0.0], np.cumsum(discounts)])[np.minimum(counts, len(places))]
    precisions = np.cumsum(hits, axis=1) / (places + 1)
    return UserMetrics(
        k=k,
        user_rows=user_rows,
        ndcg=hits @ discounts / ideals,
        recall=hits.sum(axis=1) / counts,
        precision=hits.sum(axis=1) / k,
        average_precision=(precisions * hits).sum(axis=1) / counts,
    )


def score_ranking(ranking: NDArray[np.int32], relevant: NDArray[np.int32]) -> tuple[float, float]:
    """Returns recall and nDCG of one ranking, int32 [k], against a non-empty set of items."""
    rankings = Rankings(np.zeros(1, np.int32), ranking[np.newaxis])
    of_one = Histories(np.array([0, len(relevant)]), relevant)
    found = score_rankings(rankings, of_one, k=len(ranking))
    return float(found.recall[0]), float(found.ndcg[0])
