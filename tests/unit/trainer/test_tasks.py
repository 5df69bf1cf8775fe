"""What is held out stays out of training, and what is asked can be answered."""

from pathlib import Path

import numpy as np
import pytest

from recserve_trainer.datasets.movielens_archive import read_archive
from recserve_trainer.errors import DatasetError
from recserve_trainer.evaluation.tasks import PROTOCOLS, OnlyCandidates, Protocol, Task
from recserve_trainer.interactions import Dataset, Histories


@pytest.fixture
def dataset(small_archive: Path) -> Dataset:
    return read_archive(small_archive)


def relevant_pairs(task: Task) -> set[tuple[int, int]]:
    return {
        (user, item) for user in task.user_rows.tolist() for item in task.relevant[user].tolist()
    }


def excluded_pairs(task: Task) -> set[tuple[int, int]]:
    pairs = task.excluded.pairs(task.user_rows)
    return {(int(task.user_rows[position]), int(item)) for position, item in pairs}


def test_every_protocol_asks_for_what_is_in_its_test_part_and_never_excludes_it(
    dataset: Dataset,
) -> None:
    for name, make in PROTOCOLS.items():
        protocol = make(dataset, 3)
        test = protocol.split.test
        tested = set(zip(test.user_rows.tolist(), test.item_rows.tolist(), strict=True))
        for task in protocol.tasks:
            assert protocol.name == name
            assert relevant_pairs(task) == tested
            assert not relevant_pairs(task) & excluded_pairs(task)
            assert np.isin(task.user_rows, task.known.user_rows).all()


def test_a_protocol_is_the_same_again_and_another_with_another_seed(dataset: Dataset) -> None:
    for name in ("new-users", "new-items", "new-both"):
        first, again, other = (PROTOCOLS[name](dataset, seed) for seed in (1, 1, 2))
        assert relevant_pairs(first.tasks[0]) == relevant_pairs(again.tasks[0])
        assert relevant_pairs(first.tasks[0]) != relevant_pairs(other.tasks[0])


def test_new_users_are_unknown_to_training_and_known_by_what_they_took_first(
    dataset: Dataset,
) -> None:
    protocol = PROTOCOLS["new-users"](dataset, 0)

    counts = np.bincount(dataset.interactions.user_rows)
    assert [len(task.user_rows) for task in protocol.tasks] == [8, 8, 8]  # a fifth of 40
    for task, length in zip(protocol.tasks, (10, 3, 1), strict=True):
        assert task.by_history
        assert not np.isin(protocol.split.train.user_rows, task.user_rows).any()
        for user in task.user_rows.tolist():
            known = task.known.timestamps[task.known.user_rows == user]
            tested = protocol.split.test.timestamps[protocol.split.test.user_rows == user]
            assert len(known) == length
            assert len(tested) == counts[user] - 10
            assert known.max() <= tested.min()


def new_items(protocol: Protocol) -> set[int]:
    return set(protocol.split.test.item_rows.tolist())


def test_new_items_are_unknown_to_training_and_ranked_among_themselves_first(
    dataset: Dataset,
) -> None:
    protocol = PROTOCOLS["new-items"](dataset, 0)

    among, whole = protocol.tasks
    held_out = new_items(protocol)
    counts = np.bincount(dataset.interactions.item_rows)
    assert len(held_out) == round(0.1 * (counts >= 10).sum())
    assert not held_out & set(protocol.split.train.item_rows.tolist())
    candidates = {(user, item) for user in among.user_rows.tolist() for item in held_out}
    assert not candidates & excluded_pairs(among)
    assert len(excluded_pairs(among)) == len(among.user_rows) * (30 - len(held_out))
    assert excluded_pairs(whole) < excluded_pairs(among)


def test_of_new_users_and_new_items_training_has_seen_neither(dataset: Dataset) -> None:
    protocol = PROTOCOLS["new-both"](dataset, 0)

    for task in protocol.tasks:
        assert task.by_history
        assert not np.isin(protocol.split.train.user_rows, task.user_rows).any()
        assert not new_items(protocol) & set(protocol.split.train.item_rows.tolist())
        assert not new_items(protocol) & set(task.known.item_rows.tolist())


def test_only_candidates_that_the_user_has_not_seen_are_left() -> None:
    seen = Histories(np.array([0, 1, 1]), np.array([2], np.int32))
    excluded = OnlyCandidates(seen, np.array([False, True, True]))

    pairs = excluded.pairs(np.array([1, 0], np.int32))

    assert pairs.tolist() == [[0, 0], [1, 0], [1, 2]]
    assert pairs.dtype == np.int32


def test_too_little_to_hold_out_is_told(write_archive) -> None:
    dataset = read_archive(write_archive(u_data="1\t1\t3\t5\n2\t1\t3\t5\n"))

    for name in ("new-users", "new-items", "new-both"):
        with pytest.raises(DatasetError, match="enough interactions to be held out"):
            PROTOCOLS[name](dataset, 0)
