from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recserve_server.answering.catalogue import Catalogue, Histories, Profiles, Users
from recserve_server.answering.ranking import CatalogueRanker
from recserve_server.errors import ModelFailed
from recserve_server.matrix_model import MatrixRetriever
from recserve_server.model import Ranking, Source
from recserve_server.query import Query

ITEM_COUNT = 6


def ranker(
    scores: np.ndarray,
    histories: list[list[int]],
    second: np.ndarray | None = None,
    candidates: int = 0,
) -> CatalogueRanker:
    catalogue = Catalogue(
        [f"i{row}" for row in range(ITEM_COUNT)],
        [f"Film {row}" for row in range(ITEM_COUNT)],
        np.array([3, 1, 4, 1, 5, 9]),
    )
    users = Users(
        [f"u{row}" for row in range(len(histories))],
        Histories(
            np.cumsum([0, *map(len, histories)]),
            np.array(list(chain.from_iterable(histories)), np.int32),
        ),
        Profiles(),
    )
    retriever = MatrixRetriever(scores.astype(np.float32), second=second, candidates=candidates)
    return CatalogueRanker(retriever, catalogue, users, candidates)


def shown(ranking: object) -> tuple[list[int], list[float], Source]:
    assert isinstance(ranking, Ranking)
    return ranking.item_rows.tolist(), ranking.scores.tolist(), ranking.source


SCORES = np.array([[0, 1, 2, 3, 4, 5], [5, 5, 5, 0, 0, 0]])
RANKER = ranker(SCORES, [[5, 3], []])


def test_a_known_user_gets_the_best_unseen_items() -> None:
    [ranking] = RANKER.rank([Query("u0", 3)])

    assert shown(ranking) == ([4, 2, 1], [4.0, 2.0, 1.0], Source.USER_ID)


def test_seen_items_come_back_when_asked_for() -> None:
    [ranking] = RANKER.rank([Query("u0", 3, include_seen=True)])

    assert ranking.item_rows.tolist() == [5, 4, 3]


def test_a_list_ends_where_nothing_is_eligible_any_more() -> None:
    [ranking] = RANKER.rank([Query("u0", 100)])

    assert ranking.item_rows.tolist() == [4, 2, 1, 0]


def test_an_unknown_user_gets_the_most_popular_items_equal_ones_by_row() -> None:
    [ranking] = RANKER.rank([Query("stranger", 6)])

    assert shown(ranking) == (
        [5, 4, 2, 0, 1, 3],
        [9.0, 5.0, 4.0, 3.0, 1.0, 1.0],
        Source.POPULARITY,
    )


def test_a_user_who_has_seen_everything_gets_an_empty_list() -> None:
    full = ranker(SCORES[:1], [list(range(ITEM_COUNT))])

    [ranking] = full.rank([Query("u0", 3)])

    assert ranking.item_rows.tolist() == []


def test_a_retriever_of_wrong_shapes_is_found_out() -> None:
    with pytest.raises(ValueError, match="retrieved"):
        ranker(np.zeros((1, 2)), [[]]).rank([Query("u0", 3)])


def test_scores_that_are_not_numbers_fail_their_own_query_only() -> None:
    broken = SCORES.astype(float)
    broken[0, 2] = np.nan
    subject = ranker(broken, [[], []])

    bad, good, popular = subject.rank([Query("u0", 6), Query("u1", 2), Query("stranger", 1)])

    assert isinstance(bad, ModelFailed)
    assert shown(good) == ([0, 1], [5.0, 5.0], Source.USER_ID)
    assert shown(popular) == ([5], [9.0], Source.POPULARITY)


class OutOfRange(MatrixRetriever):
    def retrieve(self, user_rows, k, excluded):
        found = super().retrieve(user_rows, k, excluded)
        rows = np.where(user_rows[:, None] == 0, self.row, found.item_rows).astype(np.int32)
        return found._replace(item_rows=rows)


@pytest.mark.parametrize("row", [-1, ITEM_COUNT])
def test_a_row_outside_the_catalogue_fails_its_own_query_only(row: int) -> None:
    subject = ranker(SCORES, [[], []])
    retriever = OutOfRange(SCORES.astype(np.float32))
    retriever.row = row
    subject._retriever = retriever

    bad, good = subject.rank([Query("u0", 2), Query("u1", 2)])

    assert isinstance(bad, ModelFailed)
    assert shown(good)[0] == [0, 1]


@given(st.data())
def test_a_mixed_batch_answers_as_one_request_at_a_time_does(data: st.DataObject) -> None:
    users = data.draw(st.integers(1, 4))
    values = st.lists(st.integers(0, 3), min_size=ITEM_COUNT, max_size=ITEM_COUNT)
    scores = np.array([data.draw(values) for _ in range(users)])
    rows = st.lists(st.integers(0, ITEM_COUNT - 1), unique=True).map(sorted)
    subject = ranker(scores, [data.draw(rows) for _ in range(users)])
    user_ids = st.integers(0, users).map("u{}".format)  # the last one is unknown
    queries = data.draw(
        st.lists(st.builds(Query, user_ids, st.integers(1, 8), st.booleans()), max_size=8)
    )

    together = [shown(ranking) for ranking in subject.rank(queries)]
    assert together == [shown(subject.rank([query])[0]) for query in queries]


def test_candidates_of_one_question_do_not_depend_on_how_many_others_ask_for() -> None:
    second = np.array([[9, 0, 0, 1, 2, 3]] * 2, np.float32)
    two_stages = ranker(SCORES, [[], []], second, candidates=3)
    queries = [Query("u0", k) for k in (2, 6, 1, 4, 3)]

    together = two_stages.rank(queries)

    assert [shown(each) for each in together] == [
        shown(two_stages.rank([query])[0]) for query in queries
    ]
    assert [len(each.item_rows) for each in together] == [2, 6, 1, 4, 3]
    assert together[0].item_rows.tolist() == [5, 4]  # though item 0 is best of all in the second
