"""Answers questions with options: batches of any mixture, in as few model calls as it takes.

Known users without filters, fresh history or diversity are ranked in the one call that plain
questions take. All others become query vectors first, whatever they ask by, and are searched
together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recserve_server.answering.abilities import require
from recserve_server.answering.askers import Asker, Askers
from recserve_server.answering.diversifying import Diversifier
from recserve_server.answering.eligibility import Eligibility, Eligible, restriction
from recserve_server.answering.ranking import CatalogueRanker, Wanted, has_repeats
from recserve_server.answering.tables import Tables
from recserve_server.answering.telling import Teller, Told
from recserve_server.errors import ModelFailed, ServingError
from recserve_server.model import Found, Ranking, ServedModel, Source
from recserve_server.query import Options, Query

_MOST_CANDIDATES: Final = 20_000
"""How far a list is searched for items that caps let through."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """A question, and what the tables say of it."""

    query: Query
    options: Options
    asker: Asker
    eligible: Eligible

    @property
    def is_direct(self) -> bool:
        """Whether the call that answers plain questions answers this one."""
        is_plain = self.eligible.mask is None and not self.options.diversity.is_wanted
        return self.asker.is_as_trained and is_plain


class Recommender:
    """Ranks the catalogue for whoever asks."""

    def __init__(self, model: ServedModel, tables: Tables, ranker: CatalogueRanker) -> None:
        """Takes the model, its tables, and what answers plain questions."""
        self._model, self._tables, self._ranker = model, tables, ranker
        self._askers = Askers(model, tables)
        self._eligibility = Eligibility(tables)
        self._diversifier = Diversifier(model, tables)
        self._teller = Teller(model, tables, self._askers)

    def rank(self, queries: Sequence[Query]) -> list[Ranking | ServingError]:
        """Returns one ranking per query, in order, or why there is none.

        Raises:
            ValueError: the model broke its contract.
        """
        answers: list[Ranking | ServingError | None] = [None] * len(queries)
        plans: dict[int, _Plan] = {}
        for place, query in enumerate(queries):
            try:
                plans[place] = self._plan(query)
            except ServingError as error:
                answers[place] = error
        direct = [place for place, plan in plans.items() if plan.is_direct]
        self._put(answers, direct, self._rank_direct([plans[place] for place in direct]))
        by_vector = [
            place
            for place, plan in plans.items()
            if not plan.is_direct and plan.asker.source is not Source.POPULARITY
        ]
        self._put(answers, by_vector, self._rank_by_vector([plans[place] for place in by_vector]))
        for place, plan in plans.items():
            if plan.asker.source is Source.POPULARITY:
                answers[place] = self._rank_by_popularity(plan)
        return self._tell(answers, plans)

    @staticmethod
    def _put(
        answers: list[Ranking | ServingError | None],
        places: Sequence[int],
        found: Sequence[Ranking | ServingError],
    ) -> None:
        for place, answer in zip(places, found, strict=True):
            answers[place] = answer

    def _plan(self, query: Query) -> _Plan:
        options = query.options or Options()
        asker = self._askers.resolve(query.user_id, options)
        seen: list[NDArray[np.int32]] = []
        if not query.include_seen:
            if len(asker.taken):
                seen.append(asker.taken)
            if options.seen_item_ids:
                seen.append(self._tables.catalogue.known(options.seen_item_ids).rows)
            if asker.user_row >= 0:
                seen.append(self._tables.users.history(asker.user_row))
        eligible = self._eligibility.of(options.selection, *seen)
        plan = _Plan(query, options, asker, eligible)
        if asker.source is not Source.POPULARITY and not plan.is_direct:
            require(self._model, "search" if eligible.mask is None else "search_eligible")
        if options.diversity.weight:
            require(self._model, "embed_items")
        if options.telling.explain and asker.source is not Source.POPULARITY:
            require(self._model, "explain")
        return plan

    def _rank_direct(self, plans: Sequence[_Plan]) -> list[Ranking | ServingError]:
        return self._ranker.rank_known(
            [Wanted(each.asker.user_row, each.query.k, each.eligible.excluded) for each in plans]
        )

    def _rank_by_popularity(self, plan: _Plan) -> Ranking:
        k, diversity = plan.query.k, plan.options.diversity
        if not diversity.is_wanted:
            return self._ranker.rank_by_popularity(k, plan.eligible, plan.asker.fallback)
        for depth in (diversity.candidates(k), _MOST_CANDIDATES):
            ranking = self._ranker.rank_by_popularity(depth, plan.eligible, plan.asker.fallback)
            chosen = self._diversifier.choose(ranking, diversity, k)
            if not (chosen.is_short and diversity.caps):
                break
        return chosen

    def _rank_by_vector(self, plans: Sequence[_Plan]) -> list[Ranking | ServingError]:
        if not plans:
            return []
        queries = self._askers.embed([each.asker for each in plans])
        return self._complete(plans, queries, [self._depth(each) for each in plans])

    def _complete(
        self, plans: Sequence[_Plan], queries: NDArray[np.float32], depths: Sequence[int]
    ) -> list[Ranking | ServingError]:
        """Searches to some depths, and deeper for those whose caps leave too few."""
        item_count = len(self._tables.catalogue)
        eligible = [each.eligible for each in plans]
        k = min(max(depths), item_count)
        found = self._model.search(queries, k, restriction(eligible, item_count))
        found = self._second_stage(plans, found, depths)
        answers: list[Ranking | ServingError] = []
        for place, plan in enumerate(plans):
            answer = self._ranking(plan, found, place, depths[place])
            is_cut = isinstance(answer, Ranking) and answer.is_short
            deeper = min(item_count, _MOST_CANDIDATES)
            if is_cut and plan.options.diversity.caps and depths[place] < deeper:
                [answer] = self._complete([plan], queries[place : place + 1], [deeper])
            answers.append(answer)
        return answers

    def _depth(self, plan: _Plan) -> int:
        """Returns how many items to search for."""
        diversity, k = plan.options.diversity, plan.query.k
        depth = diversity.candidates(k) if diversity.is_wanted else k
        return max(depth, self._tables.candidates) if self._has_second_stage(plan) else depth

    def _has_second_stage(self, plan: _Plan) -> bool:
        # It knows users by id only, and of a moved one it would know less than the first stage.
        return "rank" in self._model.abilities and plan.asker.is_as_trained

    def _second_stage(self, plans: Sequence[_Plan], found: Found, depths: Sequence[int]) -> Found:
        """Puts the candidates of those that the ranking model knows into its order."""
        places = [place for place, plan in enumerate(plans) if self._has_second_stage(plan)]
        if not places:
            return found
        rows = found.item_rows.copy()
        scores = found.scores.copy()
        retrieval_scores = np.full_like(scores, np.nan)
        user_rows = np.array([plans[place].asker.user_row for place in places], np.int32)
        ranked = self._model.rank(user_rows, np.maximum(rows[places], 0))
        for place, of_candidates in zip(places, ranked, strict=True):
            first = found.scores[place]
            # A deeper search for another question of the batch must not change this one.
            is_candidate = (first > -np.inf) & (np.arange(len(first)) < depths[place])
            second = np.where(is_candidate, of_candidates, -np.inf)
            order = np.lexsort((rows[place], -second))
            rows[place], scores[place] = rows[place][order], second[order]
            retrieval_scores[place] = first[order]
        return Found(rows, scores, retrieval_scores)

    def _ranking(self, plan: _Plan, found: Found, place: int, depth: int) -> Ranking | ServingError:
        scores = found.scores[place, :depth]
        only = Found(found.item_rows[place : place + 1, :depth], scores[None])
        # Neither infinity nor, with which no comparison holds, NaN.
        if not (scores < np.inf).all() or has_repeats(only):
            return ModelFailed()
        count = int(np.count_nonzero(scores > -np.inf))
        first = found.retrieval_scores if self._has_second_stage(plan) else None
        ranking = Ranking(
            found.item_rows[place, :count],
            scores[:count],
            plan.asker.source,
            is_short=count < plan.query.k,
            retrieval_scores=None if first is None else first[place, :count],
        )
        if plan.options.diversity.is_wanted:
            return self._diversifier.choose(ranking, plan.options.diversity, plan.query.k)
        return ranking.first(plan.query.k)

    def _tell(
        self, answers: Sequence[Ranking | ServingError | None], plans: dict[int, _Plan]
    ) -> list[Ranking | ServingError]:
        told = {
            place: Told(answer, plan.asker, plan.options, plan.eligible.unknown_excluded)
            for place, plan in plans.items()
            if isinstance(answer := answers[place], Ranking)
        }
        rankings = dict(zip(told, self._teller.tell(list(told.values())), strict=True))
        complete: list[Ranking | ServingError] = []
        for place, answer in enumerate(answers):
            assert answer is not None  # every plan has had its turn
            complete.append(rankings.get(place, answer))
        return complete
