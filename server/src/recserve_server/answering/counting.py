"""Counts what answers are like; under a microsecond each, since one is made for every question."""

from collections.abc import Callable, Sequence
from typing import Final

from recserve_server.errors import ServingError
from recserve_server.model import Extras, Neighbours, Ranking, Source
from recserve_server.query import Query, Question, RankQuery, Selection, SimilarQuery
from recserve_server.stats import AnswerStats

# A member of an enum is looked up by a function in Python: too slow for every answer.
_POPULARITY: Final = Source.POPULARITY


def count_answers(
    stats: AnswerStats,
    questions: Sequence[Question],
    answers: Sequence[Ranking | Neighbours | ServingError],
    percent_of: Callable[[float], float] | None,
) -> None:
    """Adds answers, beside their questions, to what was counted before; failures do not count.

    Args:
        stats: what was counted before.
        questions: what was asked.
        answers: beside them.
        percent_of: how much of all retrieval scores lies below one; None if it is not known.
    """
    for question, answer in zip(questions, answers, strict=True):
        if isinstance(answer, ServingError):
            continue
        if isinstance(answer, Ranking):
            _count_ranking(stats, question, answer, percent_of)
        else:
            stats.similar += 1
        count = len(answer.item_rows)
        stats.items += count
        if answer.is_short:
            stats.short += 1
        if not count:
            stats.empty += 1
        if not isinstance(question, RankQuery):
            stats.asked_k.add(question.k)
        if answer.extras is not None:
            _count_extras(stats, question, answer.extras)


def _count_ranking(
    stats: AnswerStats,
    question: Question,
    ranking: Ranking,
    percent_of: Callable[[float], float] | None,
) -> None:
    rows, scores, source, fallback, _, retrieval_scores, _ = ranking
    if fallback is not None:
        # The numbers of Source and Fallback are places: a dict would call Python to hash them.
        stats.fallbacks[fallback] += 1
    if isinstance(question, RankQuery):
        stats.ranked[source] += 1
        return
    stats.recommended[source] += 1
    if percent_of and source is not _POPULARITY and len(rows):
        first = scores if retrieval_scores is None else retrieval_scores
        stats.first_percent.add(percent_of(first.item(0)))


def _count_extras(stats: AnswerStats, question: Question, extras: Extras) -> None:
    stats.degraded += extras.is_degraded
    excluded = _selection(question).excluded_item_ids
    if excluded:
        stats.excluded += len(excluded) - extras.unknown_excluded


def _selection(question: Question) -> Selection:
    if isinstance(question, SimilarQuery):
        return question.selection
    if isinstance(question, Query) and question.options is not None:
        return question.options.selection
    return Selection()
