import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recserve_trainer.interactions import Histories, Interactions, distinct_pairs

PAIRS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), max_size=30)


def interactions(pairs: list[tuple[int, int]]) -> Interactions:
    rows = np.array(pairs, np.int32).reshape(-1, 2)
    zeros = np.zeros(len(pairs))
    return Interactions(rows[:, 0], rows[:, 1], zeros.astype(np.float32), zeros.astype(np.int64))


@given(PAIRS, PAIRS)
def test_histories_are_each_users_distinct_items_of_all_parts(
    first: list[tuple[int, int]], second: list[tuple[int, int]]
) -> None:
    histories = Histories.of(5, interactions(first), interactions(second))

    assert len(histories) == 5
    for user in range(5):
        expected = {item for owner, item in first + second if owner == user}
        assert histories[user].tolist() == sorted(expected)


@given(PAIRS, st.lists(st.integers(0, 4), max_size=6))
def test_pairs_name_positions_not_users(pairs: list[tuple[int, int]], users: list[int]) -> None:
    histories = Histories.of(5, interactions(pairs))

    found = histories.pairs(np.array(users, np.int32))

    expected = [
        [position, item] for position, user in enumerate(users) for item in histories[user].tolist()
    ]
    assert found.dtype == np.int32
    assert found.shape == (len(expected), 2)
    assert found.tolist() == expected


def test_of_a_pair_that_came_twice_the_newest_rating_is_kept() -> None:
    twice = Interactions(
        np.array([1, 0, 1, 1, 1], np.int32),
        np.array([3, 3, 3, 0, 0], np.int32),
        np.array([5, 2, 1, 2, 4], np.float32),
        np.array([10, 5, 20, 7, 7]),
    )

    kept = distinct_pairs(twice)

    assert kept.user_rows.tolist() == [0, 1, 1]
    assert kept.item_rows.tolist() == [3, 0, 3]
    assert kept.ratings.tolist() == [2, 4, 1]


EVENTS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(1, 5), st.integers(0, 3)),
    max_size=20,
)


def rated(events: list[tuple[int, int, int, int]]) -> Interactions:
    users, items, ratings, times = np.array(events, np.int32).reshape(-1, 4).T
    return Interactions(users, items, ratings.astype(np.float32), times.astype(np.int64))


@given(EVENTS, EVENTS)
def test_a_rated_history_holds_the_newest_rating_of_each_item(
    first: list[tuple[int, int, int, int]], second: list[tuple[int, int, int, int]]
) -> None:
    histories = Histories.rated(5, rated(first), rated(second))
    unrated = Histories.of(5, rated(first), rated(second))

    newest: dict[tuple[int, int], float] = {}
    # The higher of equally new ones.
    for user, item, rating, _ in sorted(first + second, key=lambda event: (event[3], event[2])):
        newest[user, item] = rating
    pairs, ratings = histories.rated_pairs(np.arange(5, dtype=np.int32))
    assert np.array_equal(histories.offsets, unrated.offsets)
    assert np.array_equal(histories.item_rows, unrated.item_rows)
    assert ratings.dtype == np.float32
    assert dict(zip(map(tuple, pairs.tolist()), ratings.tolist(), strict=True)) == newest


def test_ratings_that_nobody_gathered_are_nan() -> None:
    pairs, ratings = Histories.of(3, interactions([(0, 4), (2, 7)])).rated_pairs(np.array([2, 0]))

    assert pairs.tolist() == [[0, 7], [1, 4]]
    assert np.isnan(ratings).all()
