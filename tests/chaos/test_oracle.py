"""The oracle itself: it takes what is right and nothing else. No server runs here."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parent))

from recserve_chaos.bases import Base, Told
from recserve_chaos.oracle import Oracle, Recorded
from recserve_chaos.questions import Kind, Question
from recserve_chaos.truth import Truth

from recserve_client import (
    FallbackReason,
    Filter,
    Recommendation,
    RecommendationSource,
    ScoredItem,
    SimilarItems,
)

ITEMS = 12
PLAIN = Question(Kind.RECOMMEND, ("u0",), options={"k": 3})


def base(seed: int) -> Base:
    random = np.random.default_rng(seed)
    return Base(
        folder=Path(),
        item_ids=tuple(f"i{row}" for row in range(ITEMS)),
        titles=tuple(f"Film {row}" for row in range(ITEMS)),
        counts=np.arange(ITEMS, dtype=np.float32),
        years=np.arange(2000, 2000 + ITEMS, dtype=float),
        genres=tuple(frozenset({"Drama"} if row % 2 else {"Comedy"}) for row in range(ITEMS)),
        users={"u0": 0, "u1": 1},
        histories=(np.array([0, 1]), np.array([2])),
        user_scores=random.normal(size=(2, ITEMS)).astype(np.float32),
        similarities=np.corrcoef(random.normal(size=(ITEMS, 5))),
        told_scores=random.normal(size=(1, ITEMS)).astype(np.float32),
    )


BASES = (base(1), base(2))


@pytest.fixture
def oracle() -> Oracle:
    told = [Told("", ("i3",), (None,))]
    return Oracle([Truth(each, told) for each in BASES], {1: 0, 2: 1})


def scored(of: Base, scores: np.ndarray, rows: Sequence[int]) -> tuple[ScoredItem, ...]:
    return tuple(ScoredItem(of.item_ids[row], float(scores[row]), of.titles[row]) for row in rows)


def answer(version: int = 1, hidden: Sequence[int] = (0, 1), k: int = 3) -> Recommendation:
    """What u0 is rightly answered by a version, without some items."""
    of = BASES[version - 1]
    rows = [row for row in np.argsort(-of.user_scores[0]) if row not in hidden][:k]
    return Recommendation(
        user_id="u0",
        items=scored(of, of.user_scores[0], rows),
        source=RecommendationSource.USER_ID,
        fallback_reason=None,
        model_name="films",
        model_version=version,
    )


def test_right_answers_of_both_versions_are_taken(oracle: Oracle) -> None:
    assert not oracle.problem(PLAIN, [answer(1)])
    assert not oracle.problem(PLAIN, [answer(2)])


def test_scores_of_one_version_under_the_number_of_another_are_wrong(oracle: Oracle) -> None:
    assert oracle.problem(PLAIN, [replace(answer(1), model_version=2)])


def test_a_version_that_was_never_good_is_wrong(oracle: Oracle) -> None:
    assert "never good" in oracle.problem(PLAIN, [replace(answer(1), model_version=3)])


def test_a_batch_by_two_versions_is_a_mixture(oracle: Oracle) -> None:
    question = Question(Kind.BATCH, ("u0", "u0"), options={"k": 3})

    assert not oracle.problem(question, [answer(1), answer(1)])
    assert "mixture" in oracle.problem(question, [answer(1), answer(2)])


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda items: items[::-1], "not in order"),
        (lambda items: items[:2], "2 items instead of 3"),
        (lambda items: (items[0], items[0], items[1]), "an item twice"),
        (lambda items: (replace(items[0], title="Film"), *items[1:]), "a title of another item"),
        (lambda items: (replace(items[0], score=9.0), *items[1:]), "scores that the version"),
        (lambda items: (replace(items[0], item_id="i99"), *items[1:]), "does not have"),
    ],
)
def test_a_list_that_was_tampered_with_is_wrong(oracle: Oracle, change, problem: str) -> None:
    right = answer()

    assert problem in oracle.problem(PLAIN, [replace(right, items=change(right.items))])


def test_a_list_that_leaves_out_a_better_item_is_wrong(oracle: Oracle) -> None:
    best = int(answer().items[0].item_id[1:])

    assert "better" in oracle.problem(PLAIN, [answer(hidden=(0, 1, best))])


def test_what_was_seen_or_excluded_must_not_come_back(oracle: Oracle) -> None:
    excluded = answer().items[0].item_id
    question = replace(PLAIN, options={"k": 3, "excluded_item_ids": [excluded]})

    assert "may not come back" in oracle.problem(PLAIN, [answer(hidden=(), k=12)])
    assert "may not come back" in oracle.problem(question, [answer()])


def test_filters_are_worked_out(oracle: Oracle) -> None:
    question = replace(PLAIN, options={"k": 3, "filters": [Filter.any_of("genres", ["Drama"])]})

    assert not oracle.problem(question, [answer(hidden=(0, 1, *range(0, ITEMS, 2)))])
    assert oracle.problem(question, [answer()])


def test_another_source_than_the_question_has_is_wrong(oracle: Oracle) -> None:
    right = answer()
    fallen = replace(
        right,
        source=RecommendationSource.POPULARITY,
        fallback_reason=FallbackReason.UNKNOWN_USER,
    )

    assert "popularity" in oracle.problem(PLAIN, [fallen])


def test_similar_items_leave_out_the_given_ones(oracle: Oracle) -> None:
    scores = BASES[0].similarities[3]
    question = Question(Kind.SIMILAR, item_ids=("i3",), options={"k": 3})
    rows = np.argsort(-scores)
    found = SimilarItems(
        item_ids=("i3",), items=scored(BASES[0], scores, rows[1:4]), model_name="films",
        model_version=1,
    )  # fmt: skip

    assert rows[0] == 3
    assert not oracle.problem(question, [found])
    with_given = replace(found, items=scored(BASES[0], scores, rows[:3]))
    assert "may not come back" in oracle.problem(question, [with_given])


def test_an_acknowledged_event_keeps_its_item_away_and_one_under_way_may(oracle: Oracle) -> None:
    best = answer().items[0].item_id
    without = answer(hidden=(0, 1, int(best[1:])))
    sure, maybe = frozenset({best}), frozenset()

    def problem(found: Recommendation, told: Recorded) -> str:
        return oracle.problem_of_recorded("u0", 3, found, told)

    assert not problem(without, Recorded(sure, sure, is_history=False))
    assert problem(answer(), Recorded(sure, sure, is_history=False))
    assert not problem(answer(), Recorded(maybe, sure, is_history=False))
    assert not problem(without, Recorded(maybe, sure, is_history=False))
    assert problem(without, Recorded(maybe, maybe, is_history=False))


def test_an_answer_that_says_it_is_without_events_must_be_the_plain_one(oracle: Oracle) -> None:
    best = frozenset({answer().items[0].item_id})
    told = Recorded(best, best, is_history=True)

    degraded = replace(answer(), is_degraded=True)
    assert not oracle.problem_of_recorded("u0", 3, degraded, told)
    assert oracle.problem_of_recorded("u0", 3, answer(), told)
