from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recserve_server.catalogue import Catalogue, Users
from recserve_server.model import Query, Source
from recserve_server.ranking import CatalogueRanker
from recserve_server.testing import MatrixRetriever

ITEM_COUNT = 6


def ranker(scores: np.ndarray, histories: list[list[int]]) -> CatalogueRanker:
    catalogue = Catalogue(
        [f"i{row}" for row in range(ITEM_COUNT)],
        [f"Film {row}" for row in range(ITEM_COUNT)],
        np.array([3, 1, 4, 1, 5, 9]),
    )
    users = Users(
        [f"u{row}" for row in range(len(histories))],
        np.cumsum([0, *map(len, histories)]),
        np.array(list(chain.from_iterable(histories)), np.int32),
    )
    retriever = MatrixRetriever(scores.astype(np.float32))
    return CatalogueRanker(retriever, catalogue, users, name="films", version=7)


SCORES = np.array([[0, 1, 2, 3, 4, 5], [5, 5, 5, 0, 0, 0]])
RANKER = ranker(SCORES, [[5, 3], []])


def test_a_known_user_gets_the_best_unseen_items() -> None:
    [ranking] = RANKER.rank([Query("u0", 3)])

    assert ranking.item_ids == ["i4", "i2", "i1"]
    assert ranking.titles == ["Film 4", "Film 2", "Film 1"]
    assert ranking.scores == [4.0, 2.0, 1.0]
    assert ranking.source is Source.USER_ID
    assert (ranking.model_name, ranking.model_version) == ("films", 7)


def test_seen_items_come_back_when_asked_for() -> None:
    [ranking] = RANKER.rank([Query("u0", 3, include_seen=True)])

    assert ranking.item_ids == ["i5", "i4", "i3"]


def test_a_list_ends_where_nothing_is_eligible_any_more() -> None:
    [ranking] = RANKER.rank([Query("u0", 100)])

    assert ranking.item_ids == ["i4", "i2", "i1", "i0"]


def test_an_unknown_user_gets_the_most_popular_items_equal_ones_by_row() -> None:
    [ranking] = RANKER.rank([Query("stranger", 6)])

    assert ranking.item_ids == ["i5", "i4", "i2", "i0", "i1", "i3"]
    assert ranking.scores == [9.0, 5.0, 4.0, 3.0, 1.0, 1.0]
    assert ranking.source is Source.POPULARITY


def test_a_user_who_has_seen_everything_gets_an_empty_list() -> None:
    full = ranker(SCORES[:1], [list(range(ITEM_COUNT))])

    [ranking] = full.rank([Query("u0", 3)])

    assert ranking.item_ids == []


@pytest.mark.parametrize("broken", [np.full((1, ITEM_COUNT), np.nan), np.zeros((1, 2))])
def test_a_retriever_that_breaks_its_contract_is_found_out(broken: np.ndarray) -> None:
    with pytest.raises(ValueError, match="retrieved"):
        ranker(broken, [[]]).rank([Query("u0", 3)])


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

    assert subject.rank(queries) == [subject.rank([query])[0] for query in queries]
