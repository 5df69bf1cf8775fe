"""Turns a batch of questions into one retrieval and its answers; pure NumPy."""

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recserve_server.catalogue import Catalogue, Users
from recserve_server.errors import ModelFailed, ServingError
from recserve_server.model import Query, Ranking, Retriever, Source

_log = logging.getLogger(__name__)
_NOTHING = np.empty(0, np.int32)


class CatalogueRanker:
    """Known users are ranked by the retriever, all others by popularity."""

    def __init__(self, retriever: Retriever, catalogue: Catalogue, users: Users) -> None:
        self._retriever, self._catalogue, self._users = retriever, catalogue, users

    def rank(self, queries: Sequence[Query]) -> list[Ranking | ServingError]:
        """Returns one ranking per query, in order; `ModelFailed` where it is not made of numbers.

        Raises:
            ValueError: the retriever broke its contract.
        """
        user_rows = [self._users.row_of.get(query.user_id, -1) for query in queries]
        known = [position for position, row in enumerate(user_rows) if row >= 0]
        personal = iter(
            self._rank_known([queries[i] for i in known], [user_rows[i] for i in known])
        )
        return [
            next(personal) if row >= 0 else self._rank_by_popularity(query)
            for query, row in zip(queries, user_rows, strict=True)
        ]

    def _rank_known(
        self, queries: list[Query], user_rows: list[int]
    ) -> list[Ranking | ServingError]:
        if not queries:
            return []
        k = min(max(query.k for query in queries), len(self._catalogue))
        rows, scores = self._retriever.retrieve(
            np.array(user_rows, np.int32), k, self._excluded(queries, user_rows)
        )
        if rows.shape != (len(queries), k) or scores.shape != rows.shape:
            raise ValueError(f"retrieved {rows.shape} rows and {scores.shape} scores")
        if self._is_sound(rows, scores):
            counts = [query.k for query in queries]
            if scores[:, -1].min() == -np.inf:
                # Excluded items stand behind all others, so what is eligible is a prefix.
                eligible = np.count_nonzero(scores > -np.inf, axis=1).tolist()
                counts = [min(pair) for pair in zip(counts, eligible, strict=True)]
            return [
                Ranking(rows[i, :count], scores[i, :count], Source.USER_ID)
                for i, count in enumerate(counts)
            ]
        return self._one_by_one(queries, user_rows)

    def _is_sound(self, rows: NDArray[np.int32], scores: NDArray[np.float32]) -> bool:
        # Few calls, each over all: NumPy's overhead is what a small batch costs.
        return not np.isnan(scores.min()) and rows.view(np.uint32).max() < len(self._catalogue)

    def _one_by_one(
        self, queries: list[Query], user_rows: list[int]
    ) -> list[Ranking | ServingError]:
        """Finds out whose ranking is broken; the others are answered."""
        if len(queries) > 1:
            return [
                each
                for query, row in zip(queries, user_rows, strict=True)
                for each in self._rank_known([query], [row])
            ]
        _log.error("the model gave scores that are not numbers or rows outside the catalogue")
        return [ModelFailed()]

    def _excluded(self, queries: list[Query], user_rows: list[int]) -> NDArray[np.int32]:
        histories = [
            _NOTHING if query.include_seen else self._users.history(row)
            for query, row in zip(queries, user_rows, strict=True)
        ]
        lengths = [len(history) for history in histories]
        pairs = np.zeros((sum(lengths), 2), np.int32)
        np.concatenate(histories, out=pairs[:, 1])
        if len(queries) > 1:
            pairs[:, 0] = np.repeat(np.arange(len(queries)), lengths)
        return pairs

    def _rank_by_popularity(self, query: Query) -> Ranking:
        rows, counts = self._catalogue.by_popularity
        return Ranking(rows[: query.k], counts[: query.k], Source.POPULARITY)
