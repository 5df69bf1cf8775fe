"""Finds items like given ones."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recserve_server.answering.abilities import require
from recserve_server.answering.catalogue import KnownItems
from recserve_server.answering.eligibility import Eligibility, restriction
from recserve_server.answering.tables import Tables
from recserve_server.errors import ModelFailed, ServingError, UnknownItems
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
        given: dict[int, KnownItems] = {}
        answers: list[Neighbours | ServingError] = [ModelFailed()] * len(queries)
        for place, query in enumerate(queries):
            try:
                given[place] = self._known(query)
            except ServingError as error:
                answers[place] = error
        if given:
            asked = [queries[place] for place in given]
            found = self._find(asked, list(given.values()))
            for place, answer in zip(given, found, strict=True):
                answers[place] = answer
        return answers

    def _known(self, query: SimilarQuery) -> KnownItems:
        require(self._model, "search_similar")
        given = self._tables.catalogue.known(query.item_ids)
        if not len(given.rows):
            raise UnknownItems(query.item_ids)
        return given

    def _find(
        self, queries: Sequence[SimilarQuery], given: Sequence[KnownItems]
    ) -> list[Neighbours | ServingError]:
        item_count = len(self._tables.catalogue)
        eligible = [
            self._eligibility.of(query.selection, known.rows)
            for query, known in zip(queries, given, strict=True)
        ]
        vectors = self._model.embed_items(np.concatenate([known.rows for known in given]))
        ends = np.cumsum([len(known.rows) for known in given])
        means = [part.mean(axis=0) for part in np.split(vectors, ends[:-1])]
        k = min(max(query.k for query in queries), item_count)
        found = self._model.search_similar(
            np.stack(means).astype(np.float32), k, restriction(eligible, item_count)
        )
        answers: list[Neighbours | ServingError] = []
        for place, query in enumerate(queries):
            extras = Extras(
                unknown_excluded=eligible[place].unknown_excluded,
                unknown_item_ids=given[place].unknown_ids,
                is_full=query.telling.full,
            )
            answers.append(
                _neighbours(query.k, found.item_rows[place], found.scores[place], extras)
            )
        return answers


def _neighbours(
    k: int, rows: NDArray[np.int32], scores: NDArray[np.float32], extras: Extras
) -> Neighbours | ServingError:
    if np.isnan(scores).any():
        return ModelFailed()
    count = min(k, int(np.count_nonzero(scores > -np.inf)))
    return Neighbours(rows[:count], scores[:count], count < k, extras)
