import hashlib
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recserve_trainer.config import SplitConfig
from recserve_trainer.errors import DatasetError
from recserve_trainer.evaluation import split as split_module
from recserve_trainer.evaluation.split import Split, split_by_time, split_sha256
from recserve_trainer.interactions import Dataset, Interactions
from recserve_trainer.tables import ItemTable, UserTable

CONFIG = SplitConfig(validation_share=0.1, test_share=0.2)


def interactions(rows: list[tuple[int, int, int]]) -> Interactions:
    users, items, times = np.array(rows).T
    ratings = np.ones(len(rows), np.float32)
    return Interactions(users.astype(np.int32), items.astype(np.int32), ratings, times)


def triples(part: Interactions) -> list[tuple[int, int, int]]:
    columns = (part.user_rows.tolist(), part.item_rows.tolist(), part.timestamps.tolist())
    return sorted(zip(*columns, strict=True))


# One user always has enough to be split; times collide often.
ROWS = st.dictionaries(
    st.tuples(st.integers(0, 5), st.integers(0, 30)), st.integers(0, 9), max_size=60
).map(lambda times: [(u, i, t) for (u, i), t in ({(0, n): n for n in range(3)} | times).items()])


@given(ROWS)
def test_every_interaction_is_in_exactly_one_part(rows: list[tuple[int, int, int]]) -> None:
    split = split_by_time(interactions(rows), CONFIG)

    parts = [triples(part) for part in (split.train, split.validation, split.test)]
    assert sorted(sum(parts, [])) == sorted(rows)  # noqa: RUF017  # three short lists


@given(ROWS)
def test_no_user_trains_on_what_came_after_their_held_out_part(
    rows: list[tuple[int, int, int]],
) -> None:
    split = split_by_time(interactions(rows), CONFIG)

    parts = [split.train, split.validation, split.test]
    for user in {user for user, _, _ in rows}:
        times = [part.timestamps[part.user_rows == user] for part in parts]
        kept = [each for each in times if len(each)]
        assert all(a.max() <= b.min() for a, b in pairwise(kept))


@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(rows: list, random: object) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)

    one, other = (split_by_time(interactions(each), CONFIG) for each in (rows, shuffled))

    assert triples(one.test) == triples(other.test)
    assert triples(one.validation) == triples(other.validation)


@pytest.mark.parametrize(
    ("count", "train", "validation", "test"),
    [(1, 1, 0, 0), (2, 2, 0, 0), (3, 1, 1, 1), (10, 7, 1, 2), (23, 16, 2, 5)],
)
def test_each_user_gives_a_share_of_at_least_one(
    count: int, train: int, validation: int, test: int
) -> None:
    rows = [(0, item, item) for item in range(count)]
    rows += [(1, item, item) for item in range(3)]

    split = split_by_time(interactions(rows), CONFIG)

    parts = (split.train, split.validation, split.test)
    assert [int((part.user_rows == 0).sum()) for part in parts] == [train, validation, test]


def test_shares_that_round_up_leave_every_user_something_to_train_on() -> None:
    rows = [(user, item, item) for user, count in enumerate((3, 4, 5)) for item in range(count)]

    split = split_by_time(interactions(rows), SplitConfig(validation_share=0.4, test_share=0.4))

    assert set(split.train.user_rows.tolist()) == {0, 1, 2}
    assert set(split.validation.user_rows.tolist()) == {0, 1, 2}


def test_the_newest_are_tested_on() -> None:
    rows = [(0, item, 100 - item) for item in range(10)]

    split = split_by_time(interactions(rows), CONFIG)

    assert sorted(split.test.item_rows.tolist()) == [0, 1]
    assert split.validation.item_rows.tolist() == [2]


def test_a_split_without_anything_to_test_on_is_refused() -> None:
    with pytest.raises(DatasetError, match="no user has 3 interactions or more"):
        split_by_time(interactions([(0, 0, 0), (0, 1, 1), (1, 0, 0)]), CONFIG)


@given(ROWS)
def test_the_digest_is_of_one_line_a_pair_in_the_order_of_rows(
    rows: list[tuple[int, int, int]],
) -> None:
    users = UserTable([f"u{user}" for user in range(6)])
    items = ItemTable([f"ä{item}" for item in range(31)], [""] * 31)
    dataset = Dataset("d", "1", users, items, interactions(rows))
    split = split_by_time(dataset.interactions, CONFIG)

    expected = hashlib.sha256()
    for part in (split.train, split.validation, split.test):
        for user, item in sorted((user, item) for user, item, _ in triples(part)):
            expected.update(f"{users.ids[user]}\t{items.ids[item]}\n".encode())
        expected.update(b"\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(split_module, "_ROWS_PER_DIGEST", 7)
        in_chunks = split_sha256(dataset, split)

    assert split_sha256(dataset, split) == expected.hexdigest()
    assert in_chunks == expected.hexdigest()


def test_the_digest_follows_the_pairs_and_nothing_else() -> None:
    rows = [(user, item, item) for user in range(2) for item in range(5)]
    items = ItemTable(list("abcde"), list("abcde"))
    data = interactions(rows)
    dataset = Dataset("d", "1", UserTable(["u", "v"]), items, data)
    split = split_by_time(data, CONFIG)
    again = split_by_time(interactions(rows[::-1]), CONFIG)
    moved = Split(split.validation, split.train, split.test, "")

    assert split_sha256(dataset, split) == split_sha256(dataset, again)
    assert split_sha256(dataset, split) != split_sha256(dataset, moved)
