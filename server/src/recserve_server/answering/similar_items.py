"""Finds items like given ones."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recserve_server.answering.eligibility import Eligibility, Eligible, restriction
from recserve_server.answering.tables import Tables
from recserve_server.errors import ModelFailed, NotInModel, ServingError, UnknownItems
from recserve_server.model import Extras, Neighbours, ServedModel
from recserve_server.query import SimilarQuery


class SimilarItems:
    """Finds items like given ones."""

    def __init__(self, model: ServedModel, tables: Tables) -> None:
        self._model, self._tables = model, tables
        self._eligibility = Eligibility(tables)

    def find(self, queries: Sequence[SimilarQuery]) -> list[Neighbours | ServingError]:
        """Returns the items most like the given ones, or why there are none.

        The score is the mean similarity to the given items; they are not among those found.
        """
        known: dict[int, NDArray[np.int32]] = {}
        answers: list[Neighbours | ServingError] = [ModelFailed()] * len(queries)
        for place, query in enumerate(queries):
            rows = self._eligibility.rows(query.item_ids)
            if "search_similar" not in self._model.abilities:
                answers[place] = NotInModel("search_similar")
            elif (rows < 0).all():
                answers[place] = UnknownItems(query.item_ids)
            else:
                known[place] = rows[rows >= 0]
        if known:
            asked = [queries[place] for place in known]
            found = self._find(asked, list(known.values()))
            for place, answer in zip(known, found, strict=True):
                answers[place] = answer
        return answers

    def _find(
        self, queries: Sequence[SimilarQuery], given: Sequence[NDArray[np.int32]]
    ) -> list[Neighbours | ServingError]:
        item_count = len(self._tables.catalogue)
        eligible = [
            self._eligibility.of(query.selection, rows)
            for query, rows in zip(queries, given, strict=True)
        ]
        vectors = self._model.embed_items(np.concatenate(given))
        ends = np.cumsum([len(rows) for rows in given])
        means = [part.mean(axis=0) for part in np.split(vectors, ends[:-1])]
        k = min(max(query.k for query in queries), item_count)
        found = self._model.search_similar(
            np.stack(means).astype(np.float32), k, restriction(eligible, item_count)
        )
        return [
            self._neighbours(query, found.item_rows[place], found.scores[place], eligible[place])
            for place, query in enumerate(queries)
        ]

    def _neighbours(
        self,
        query: SimilarQuery,
        rows: NDArray[np.int32],
        scores: NDArray[np.float32],
        eligible: Eligible,
    ) -> Neighbours | ServingError:
        if np.isnan(scores).any():
            return ModelFailed()
        count = min(query.k, int(np.count_nonzero(scores > -np.inf)))
        unknown = tuple(
            item_id
            for item_id, row in zip(
                query.item_ids, self._eligibility.rows(query.item_ids).tolist(), strict=True
            )
            if row < 0
        )
        extras = Extras(
            unknown_excluded=eligible.unknown_excluded,
            unknown_item_ids=unknown,
            is_full=query.telling.full,
        )
        return Neighbours(rows[:count], scores[:count], count < query.k, extras)
