"""Puts given items in order for users."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recserve_server.answering.abilities import require
from recserve_server.answering.askers import Asker, Askers
from recserve_server.answering.tables import Tables
from recserve_server.answering.telling import Teller, Told
from recserve_server.errors import ModelFailed, ServingError
from recserve_server.model import Ranking, ServedModel, Source
from recserve_server.query import RankQuery


@dataclass(frozen=True, slots=True)
class _Candidates:
    """Given items for one caller, as far as the model knows them."""

    query: RankQuery
    asker: Asker
    rows: NDArray[np.int32]
    unknown_item_ids: tuple[str, ...]


class _Scores(NamedTuple):
    """Scores of given items, beside their rows."""

    scores: NDArray[np.float32]
    first: NDArray[np.float32] | None = None
    """The first stage's if `scores` are the second's."""


class ItemRanker:
    """Puts given items in order for users."""

    def __init__(self, model: ServedModel, tables: Tables) -> None:
        self._model, self._tables = model, tables
        self._askers = Askers(model, tables)
        self._teller = Teller(model, tables, self._askers)

    def rank(self, queries: Sequence[RankQuery]) -> list[Ranking | ServingError]:
        """Returns the known ones of the given items in order, or why there is none."""
        plans: dict[int, _Candidates] = {}
        answers: list[Ranking | ServingError] = [ModelFailed()] * len(queries)
        for place, query in enumerate(queries):
            try:
                plans[place] = self._plan(query)
            except ServingError as error:
                answers[place] = error
        scored = self._score(list(plans.values()))
        told: dict[int, Told] = {}
        for (place, plan), of_plan in zip(plans.items(), scored, strict=True):
            if np.isfinite(of_plan.scores).all():
                ranking = _in_order(plan, of_plan)
                told[place] = Told(
                    ranking,
                    plan.asker,
                    plan.query.options,
                    unknown_item_ids=plan.unknown_item_ids,
                )
        for place, ranking in zip(told, self._teller.tell(list(told.values())), strict=True):
            answers[place] = ranking
        return answers

    def _plan(self, query: RankQuery) -> _Candidates:
        asker = self._askers.resolve(query.user_id, query.options)
        if asker.source is not Source.POPULARITY:
            require(self._model, "score_items")
            if query.options.telling.explain:
                require(self._model, "explain")
        return _Candidates(query, asker, *self._tables.catalogue.known(query.item_ids))

    def _score(self, plans: Sequence[_Candidates]) -> list[_Scores]:
        counts = self._tables.catalogue.train_counts
        scored: list[_Scores] = [_Scores(counts[plan.rows].astype(np.float32)) for plan in plans]
        personal = [
            place
            for place, plan in enumerate(plans)
            if plan.asker.source is not Source.POPULARITY and len(plan.rows)
        ]
        if not personal:
            return scored
        items = _padded([plans[place].rows for place in personal])
        queries = self._askers.embed([plans[place].asker for place in personal])
        first = self._model.score_items(queries, items)
        for place, scores in zip(personal, first, strict=True):
            scored[place] = _Scores(scores[: len(plans[place].rows)])
        self._second_stage(plans, scored)
        return scored

    def _second_stage(
        self,
        plans: Sequence[_Candidates],
        scored: list[_Scores],
    ) -> None:
        places = [
            place for place, plan in enumerate(plans) if plan.asker.is_as_trained and len(plan.rows)
        ]
        if "rank" not in self._model.abilities or not places:
            return
        users = np.array([plans[place].asker.user_row for place in places], np.int32)
        second = self._model.rank(users, _padded([plans[place].rows for place in places]))
        for place, scores in zip(places, second, strict=True):
            scored[place] = _Scores(scores[: len(plans[place].rows)], scored[place].scores)


def _in_order(plan: _Candidates, scored: _Scores) -> Ranking:
    scores, first = scored
    order = np.lexsort((plan.rows, -scores))
    return Ranking(
        plan.rows[order],
        scores[order],
        plan.asker.source,
        plan.asker.fallback,
        retrieval_scores=None if first is None else first[order],
    )


def _padded(rows: Sequence[NDArray[np.int32]]) -> NDArray[np.int32]:
    """Returns int32 [n, longest], filled up with row 0."""
    padded = np.zeros((len(rows), max(map(len, rows))), np.int32)
    for place, each in enumerate(rows):
        padded[place, : len(each)] = each
    return padded
