"""Says of every answer whether it is the right one of the version that it names.

Right up to the order of equal scores: the items are eligible, as many as asked for, each with the
score that the version gives it, in descending order, and nothing better was left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from recserve_client import RankedItems, Recommendation, SimilarItems

from .bases import NAME
from .questions import Kind, Question
from .truth import Expected, Truth, wrong_items

Answer = Recommendation | SimilarItems | RankedItems


@dataclass(frozen=True)
class Recorded:
    """What was recorded of a user while a call was under way."""

    surely: frozenset[str]
    """Items of events that were acknowledged before the call."""
    maybe: frozenset[str]
    """Items of all events that were sent before its end."""
    is_history: bool
    """Whether there are others than views, which move scores."""


@dataclass
class Oracle:
    """Knows which base each published version is."""

    truths: Sequence[Truth]
    base_of: dict[int, int] = field(default_factory=dict)
    """Place of the base by version; a version that is not here must never answer."""

    def problem(self, question: Question, answers: Sequence[Answer]) -> str:
        """Says what is wrong with the answers to a question of users without events."""
        versions = {(each.model_name, each.model_version) for each in answers}
        if len(versions) != 1:
            return f"a mixture of versions {sorted(versions)}"
        name, version = versions.pop()
        if name != NAME or version not in self.base_of:
            return f"by {name} version {version}, which was never good"
        truth = self.truths[self.base_of[version]]
        if question.kind is Kind.SIMILAR:
            return self._of_similar(truth, question, answers[0])
        if question.kind is Kind.RANK:
            return self._of_ranked(truth, question, answers[0])
        if len(answers) != len(question.users):
            return f"{len(answers)} answers to {len(question.users)} users"
        problems = (
            self._of_user(truth, question, user_id, answer)
            for user_id, answer in zip(question.users, answers, strict=True)
        )
        return next(filter(None, problems), "")

    def problem_of_recorded(self, user_id: str, k: int, answer: Answer, told: Recorded) -> str:
        """Says what is wrong with a plain answer to a user of whom events were recorded."""
        if answer.model_version not in self.base_of:
            return f"by version {answer.model_version}, which was never good"
        truth = self.truths[self.base_of[answer.model_version]]
        scores, seen, _ = truth.of_user(user_id, Question(Kind.RECOMMEND))
        surely, maybe = truth.mask(told.surely), truth.mask(told.maybe)
        if answer.is_degraded:
            return truth.problem(answer.items, Expected(scores, ~seen, k))
        sure = Expected(scores, ~seen & ~surely, k, optional=maybe & ~surely)
        if not told.is_history:
            return truth.problem(answer.items, sure)
        # The history has moved all scores; who may come back, and in which order, still holds.
        rows = np.array([truth.rows.get(each.item_id, -1) for each in answer.items], np.int64)
        if min(rows, default=0) < 0:
            return "an item that the version does not have"
        told_scores = [each.score for each in answer.items]
        is_sorted = told_scores == sorted(told_scores, reverse=True)
        return wrong_items(rows, sure) or ("" if is_sorted else "not in order")

    def _of_user(self, truth: Truth, question: Question, user_id: str, answer: Answer) -> str:
        scores, seen, source = truth.of_user(user_id, question)
        if answer.user_id != user_id or answer.source != source:
            return f"for {answer.user_id!r} from {answer.source} instead of {source}"
        options = dict(question.options)
        eligible = truth.eligible(options)
        if not options.get("include_seen"):
            eligible &= ~seen
        return truth.problem(answer.items, Expected(scores, eligible, options.get("k", 10)))

    def _of_similar(self, truth: Truth, question: Question, answer: Answer) -> str:
        given = [truth.rows[each] for each in question.item_ids if each in truth.rows]
        if answer.unknown_item_count != len(question.item_ids) - len(given):
            return f"{answer.unknown_item_count} unknown items"
        scores = truth.base.similarities[given].mean(axis=0)
        eligible = truth.eligible(dict(question.options))
        eligible[given] = False
        return truth.problem(answer.items, Expected(scores, eligible, question.options["k"]))

    def _of_ranked(self, truth: Truth, question: Question, answer: Answer) -> str:
        scores, _, source = truth.of_user(question.users[0], question)
        if answer.source != source:
            return f"from {answer.source} instead of {source}"
        if set(answer.unknown_item_ids) != {x for x in question.item_ids if x not in truth.rows}:
            return "other unknown items"
        given = truth.mask(question.item_ids)
        return truth.problem(answer.items, Expected(scores, given, len(question.item_ids)))
