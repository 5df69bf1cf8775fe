import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recserve_trainer.interactions import Histories, Interactions

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
