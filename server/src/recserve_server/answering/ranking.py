"""Rankings of the catalogue for users that the model knows by id, in one call; pure NumPy."""

import logging
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recserve_server.answering.catalogue import Catalogue, Users
from recserve_server.answering.eligibility import NOTHING, Eligible, pairs
from recserve_server.errors import ModelFailed, ServingError
from recserve_server.model import Fallback, Found, Ranking, Retriever, Source
from recserve_server.query import Query

_log = logging.getLogger(__name__)


class Wanted(NamedTuple):
    """A ranking for a user that the model knows."""

    user_row: int
    k: int
    excluded: NDArray[np.int32]
    """int32 [n], rows that may not come back."""


def has_repeats(found: Found) -> bool:
    """Tells whether any ranking has an item twice; excluded items, behind all others, may be."""
    rows = found.item_rows
    ordered = np.sort(rows, axis=1)
    # Not `any`, which goes through Python to what this is.
    if not np.count_nonzero(ordered[:, 1:] == ordered[:, :-1]):
        return False
    apart = -1 - np.arange(rows.shape[1], dtype=rows.dtype)
    ordered = np.sort(np.where(found.scores > -np.inf, rows, apart), axis=1)
    return bool((ordered[:, 1:] == ordered[:, :-1]).any())


class CatalogueRanker:
    """Known users are ranked by the retriever, all others by popularity."""

    def __init__(
        self, retriever: Retriever, catalogue: Catalogue, users: Users, candidates: int = 0
    ) -> None:
        """Takes the model, its tables, and how many items its first stage hands to a second."""
        self._retriever, self._catalogue, self._users = retriever, catalogue, users
        self._candidates = candidates

    def rank(self, queries: Sequence[Query]) -> list[Ranking | ServingError]:
        """Answers plain queries.

        Returns:
            One ranking per query, in order; `ModelFailed` where it is not made of numbers.

        Raises:
            ValueError: the retriever broke its contract.
        """
        user_rows = [self._users.row_of.get(query.user_id, -1) for query in queries]
        personal = iter(
            self.rank_known(
                [
                    Wanted(
                        row, query.k, NOTHING if query.include_seen else self._users.history(row)
                    )
                    for query, row in zip(queries, user_rows, strict=True)
                    if row >= 0
                ]
            )
        )
        return [
            next(personal) if row >= 0 else self.rank_by_popularity(query.k)
            for query, row in zip(queries, user_rows, strict=True)
        ]

    def rank_known(self, wanted: Sequence[Wanted]) -> list[Ranking | ServingError]:
        """Ranks the catalogue for known users; returns and raises as `rank`."""
        if not wanted:
            return []
        if self._candidates and max(each.k for each in wanted) > self._candidates:
            return self._by_depth(wanted)
        return self._in_one_call(wanted)

    def _by_depth(self, wanted: Sequence[Wanted]) -> list[Ranking | ServingError]:
        """Ranks together what is chosen from equally many candidates.

        A longer list has more of them, among which a second stage may find better ones: those of
        one question must not depend on what others in its batch ask.
        """
        answers: dict[int, Ranking | ServingError] = {}
        depths = [max(each.k, self._candidates) for each in wanted]
        for depth in set(depths):
            places = [place for place, each in enumerate(depths) if each == depth]
            found = self._in_one_call([wanted[place] for place in places])
            answers.update(zip(places, found, strict=True))
        return [answers[place] for place in range(len(wanted))]

    def _in_one_call(self, wanted: Sequence[Wanted]) -> list[Ranking | ServingError]:
        k = min(max(each.k for each in wanted), len(self._catalogue))
        user_rows = np.array([each.user_row for each in wanted], np.int32)
        found = self._retriever.retrieve(user_rows, k, pairs([each.excluded for each in wanted]))
        if found.item_rows.shape != (len(wanted), k) or found.scores.shape != (len(wanted), k):
            raise ValueError(
                f"retrieved {found.item_rows.shape} rows and {found.scores.shape} scores"
            )
        if self._is_sound(found):
            return self._rankings(wanted, found)
        return self._one_by_one(wanted)

    def rank_by_popularity(
        self,
        k: int,
        eligible: Eligible | None = None,
        fallback: Fallback | None = Fallback.UNKNOWN_USER,
    ) -> Ranking:
        """Returns the most popular items, None for all being eligible."""
        rows, counts = self._catalogue.by_popularity
        if eligible is not None:
            may = eligible(len(self._catalogue))[rows]
            rows, counts = rows[may], counts[may]
        is_short = k > len(rows)
        return Ranking(rows[:k], counts[:k], Source.POPULARITY, fallback, is_short)

    def _rankings(self, wanted: Sequence[Wanted], found: Found) -> list[Ranking | ServingError]:
        rows, scores, retrieval_scores = found
        counts = [min(each.k, rows.shape[1]) for each in wanted]
        if scores[:, -1].min() == -np.inf:
            # Excluded items stand behind all others, so what is eligible is a prefix.
            eligible = np.count_nonzero(scores > -np.inf, axis=1).tolist()
            counts = [min(pair) for pair in zip(counts, eligible, strict=True)]
        return [
            Ranking(
                rows[i, :count],
                scores[i, :count],
                Source.USER_ID,
                None,
                count < wanted[i].k,
                None if retrieval_scores is None else retrieval_scores[i, :count],
            )
            for i, count in enumerate(counts)
        ]

    def _is_sound(self, found: Found) -> bool:
        # Few calls, each over all: NumPy's overhead is what a small batch costs. No comparison
        # with NaN holds.
        rows, scores = found.item_rows, found.scores
        return bool(
            scores.max() < np.inf
            and scores.min() >= -np.inf
            and rows.view(np.uint32).max() < len(self._catalogue)
            and not has_repeats(found)
        )

    def _one_by_one(self, wanted: Sequence[Wanted]) -> list[Ranking | ServingError]:
        """Finds out whose ranking is broken; the others are answered."""
        if len(wanted) > 1:
            return [answer for each in wanted for answer in self.rank_known([each])]
        _log.error("the model gave scores that are not numbers or rows outside the catalogue")
        return [ModelFailed()]
