"""How many interactions each part gets, for any shares, and what the digest tells apart."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recserve_trainer.config import SplitConfig
from recserve_trainer.evaluation.split import Split, split_by_time, split_sha256
from recserve_trainer.interactions import Dataset, Interactions
from recserve_trainer.tables import ItemTable, UserTable

SHARES = st.floats(0.01, 0.3)
COUNTS = st.lists(st.integers(1, 60), min_size=1, max_size=6)


def interactions(pairs: list[tuple[int, int]]) -> Interactions:
    users, items = np.array(pairs, np.int32).reshape(-1, 2).T
    return Interactions(users, items, np.ones(len(pairs), np.float32), np.arange(len(pairs)))


@given(COUNTS, SHARES, SHARES)
def test_each_user_gives_the_rounded_share_or_one_and_the_rest_trains(
    counts: list[int], validation_share: float, test_share: float
) -> None:
    counts = [3, *counts]  # somebody to test on
    rows = interactions([(user, item) for user, n in enumerate(counts) for item in range(n)])
    config = SplitConfig(validation_share=validation_share, test_share=test_share)

    split = split_by_time(rows, config)

    for user, n in enumerate(counts):
        held_out = [max(1, round(share * n)) for share in (validation_share, test_share)]
        validation, test = held_out if n >= 3 else (0, 0)
        parts = (split.train, split.validation, split.test)
        found = [int((part.user_rows == user).sum()) for part in parts]
        assert found == [n - validation - test, validation, test]


def test_the_description_tells_which_share_went_where() -> None:
    rows = interactions([(0, item) for item in range(10)])

    split = split_by_time(rows, SplitConfig(validation_share=0.1, test_share=0.3))

    assert "newest 30% test, next 10% validation" in split.description


def digest(*parts: list[tuple[int, int]]) -> str:
    ids = list("abc")
    dataset = Dataset("d", "1", UserTable(ids), ItemTable(ids, ids), interactions([]))
    return split_sha256(dataset, Split(*map(interactions, parts), description=""))


def test_the_digest_does_not_depend_on_the_order_within_a_part() -> None:
    assert digest([(0, 0), (1, 2)], [], [(2, 1)]) == digest([(1, 2), (0, 0)], [], [(2, 1)])


def test_the_digest_tells_which_part_a_pair_is_in() -> None:
    # The same pairs in the same order, with the borders between the parts moved.
    one = [digest([(0, 0)], [(1, 1)], [(2, 2)]), digest([(0, 0), (1, 1)], [], [(2, 2)])]
    other = [digest([(0, 0)], [(1, 1), (2, 2)], []), digest([], [(0, 0), (1, 1)], [(2, 2)])]

    assert len({*one, *other}) == 4


def test_the_digest_follows_a_single_changed_pair() -> None:
    assert digest([(0, 0)], [], [(2, 1)]) != digest([(0, 0)], [], [(2, 2)])
