"""Counts what answers are like; under a microsecond each, since one is made for every question."""

from collections.abc import Sequence

from recserve_server.errors import ServingError
from recserve_server.model import Extras, Neighbours, Ranking
from recserve_server.query import Query, Question, RankQuery, Selection, SimilarQuery
from recserve_server.stats import AnswerStats


def count_answers(
    stats: AnswerStats,
    questions: Sequence[Question],
    answers: Sequence[Ranking | Neighbours | ServingError],
) -> None:
    """Adds answers, beside their questions, to what was counted before; failures do not count."""
    for question, answer in zip(questions, answers, strict=True):
        if isinstance(answer, Ranking):
            rows, _, source, fallback, is_short, _, extras = answer
            # The numbers of Source and Fallback are places: a dict would call Python to hash them.
            if isinstance(question, RankQuery):
                stats.ranked[source] += 1
            else:
                stats.recommended[source] += 1
            if fallback is not None:
                stats.fallbacks[fallback] += 1
        elif isinstance(answer, Neighbours):
            rows, is_short, extras = answer.item_rows, answer.is_short, answer.extras
            stats.similar += 1
        else:
            continue
        count = len(rows)
        stats.items += count
        if is_short:
            stats.short += 1
        if not count:
            stats.empty += 1
        if not isinstance(question, RankQuery):
            stats.asked_k.add(question.k)
        if extras is not None:
            _count_extras(stats, question, extras)


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
