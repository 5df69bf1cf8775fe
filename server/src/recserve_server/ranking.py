"""Turns a batch of questions into one retrieval and its answers; pure NumPy."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recserve_server.catalogue import Catalogue, Users
from recserve_server.model import Query, Ranking, Retriever, Source

_NOTHING_EXCLUDED = np.empty((0, 2), np.int32)


class CatalogueRanker:
    """Known users are ranked by the retriever, all others by popularity."""

    def __init__(
        self, retriever: Retriever, catalogue: Catalogue, users: Users, *, name: str, version: int
    ) -> None:
        self._retriever, self._catalogue, self._users = retriever, catalogue, users
        self._name, self._version = name, version

    def rank(self, queries: Sequence[Query]) -> list[Ranking]:
        """Returns one ranking per query, in order.

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

    def _rank_known(self, queries: list[Query], user_rows: list[int]) -> list[Ranking]:
        if not queries:
            return []
        k = min(max(query.k for query in queries), len(self._catalogue))
        rows, scores = self._retriever.retrieve(
            np.array(user_rows, np.int32), k, self._excluded(queries, user_rows)
        )
        if rows.shape != (len(queries), k) or scores.shape != rows.shape:
            raise ValueError(f"retrieved {rows.shape} rows and {scores.shape} scores")
        if np.isnan(scores).any():
            raise ValueError("retrieved scores are not numbers")
        # Excluded items stand behind all others, so what is eligible is a prefix.
        eligible = np.count_nonzero(scores > -np.inf, axis=1).tolist()
        return [
            self._ranking(rows[i, :count], scores[i, :count], Source.USER_ID)
            for i, query in enumerate(queries)
            for count in [min(query.k, eligible[i])]
        ]

    def _excluded(self, queries: list[Query], user_rows: list[int]) -> NDArray[np.int32]:
        histories = [
            _NOTHING_EXCLUDED[:, 0] if query.include_seen else self._users.history(row)
            for query, row in zip(queries, user_rows, strict=True)
        ]
        positions = np.repeat(
            np.arange(len(queries), dtype=np.int32), [len(history) for history in histories]
        )
        return np.stack([positions, np.concatenate(histories)], axis=1)

    def _rank_by_popularity(self, query: Query) -> Ranking:
        rows, counts = self._catalogue.by_popularity
        return self._ranking(rows[: query.k], counts[: query.k], Source.POPULARITY)

    def _ranking(
        self, rows: NDArray[np.int32], scores: NDArray[np.float32], source: Source
    ) -> Ranking:
        item_rows = rows.tolist()
        item_ids, titles = self._catalogue.item_ids, self._catalogue.titles
        return Ranking(
            item_ids=[item_ids[row] for row in item_rows],
            titles=[titles[row] for row in item_rows],
            scores=scores.tolist(),
            source=source,
            model_name=self._name,
            model_version=self._version,
        )
