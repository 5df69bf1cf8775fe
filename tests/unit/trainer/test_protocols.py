"""Published splits, against the definition followed row by row."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recserve_trainer.datasets.movielens_archive import read_archive
from recserve_trainer.errors import DatasetError
from recserve_trainer.evaluation.protocols import stratified_split, time_split
from recserve_trainer.interactions import Interactions

PAIRS = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 8)), min_size=4, max_size=60, unique=True
)


def interactions(pairs: list[tuple[int, int]], timestamps: list[int] | None = None) -> Interactions:
    users, items = np.array(pairs, np.int32).T
    seconds = np.array(timestamps if timestamps is not None else range(len(pairs)), np.int64)
    return Interactions(users, items, np.ones(len(pairs), np.float32), seconds)


def pairs_of(part: Interactions) -> set[tuple[int, int]]:
    return set(zip(part.user_rows.tolist(), part.item_rows.tolist(), strict=True))


@given(PAIRS, st.sampled_from(["item", "user"]), st.integers(0, 5))
def test_each_item_or_user_gives_its_lowest_draws_to_training(
    pairs: list[tuple[int, int]], by: str, seed: int
) -> None:
    draws = np.random.RandomState(seed).rand(len(pairs))
    groups = defaultdict(list)
    for draw, pair in zip(draws, pairs, strict=True):
        groups[pair[1 if by == "item" else 0]].append((draw, pair))
    train = {
        pair for group in groups.values() for _, pair in sorted(group)[: round(0.75 * len(group))]
    }
    if not train or len(train) == len(pairs):
        with pytest.raises(DatasetError, match="must be one or more each"):
            stratified_split(interactions(pairs), by, seed=seed)
        return

    split = stratified_split(interactions(pairs), by, seed=seed)

    assert pairs_of(split.train) == train
    assert pairs_of(split.test) == set(pairs) - train
    assert len(split.validation) == 0


def test_halves_are_rounded_to_even_as_pandas_and_python_do() -> None:
    # 2 interactions: 1.5 rounds to 2; 6 of them: 4.5 rounds to 4.
    pairs = [(user, 0) for user in range(2)] + [(user, 1) for user in range(6)]

    split = stratified_split(interactions(pairs), "item", seed=1)

    assert np.bincount(split.train.item_rows).tolist() == [2, 4]


def test_another_seed_is_another_split_and_the_same_seed_the_same() -> None:
    all_of_them = interactions([(user, item) for user in range(12) for item in range(8)])

    first, again, other = (stratified_split(all_of_them, "item", seed=seed) for seed in (1, 1, 2))

    assert pairs_of(first.test) == pairs_of(again.test) != pairs_of(other.test)


def test_the_split_in_time_trains_on_the_oldest_and_forgets_users_it_has_never_seen() -> None:
    # User 2 comes in the last quarter only; of users 0 and 1 the newest interaction is tested.
    pairs = [(0, 0), (0, 1), (1, 0), (1, 2), (0, 3), (1, 3), (0, 4), (2, 4)]
    timestamps = [10, 20, 30, 40, 50, 60, 70, 80]
    shuffled = [5, 0, 7, 3, 1, 6, 2, 4]

    split = time_split(
        interactions(
            [pairs[place] for place in shuffled], [timestamps[place] for place in shuffled]
        )
    )

    assert split.train.timestamps.tolist() == timestamps[:6]
    assert pairs_of(split.test) == {(0, 4)}


def test_the_split_in_time_does_not_depend_on_the_order_of_the_input() -> None:
    pairs = [(user, item) for user in range(3) for item in range(4)]
    same_second = [7] * len(pairs)

    split = time_split(interactions(pairs, same_second))
    reverse = time_split(interactions(pairs[::-1], same_second))

    assert pairs_of(split.train) == pairs_of(reverse.train) == set(pairs[:9])
    assert pairs_of(split.test) == pairs_of(reverse.test) == set(pairs[9:])


@pytest.mark.parametrize(("by", "sizes"), [("item", (75_066, 24_934)), ("user", (74_992, 25_008))])
def test_the_real_splits_have_the_published_sizes(
    movielens_archive: Path, by: str, sizes: tuple[int, int]
) -> None:
    split = stratified_split(read_archive(movielens_archive).interactions, by, seed=42)

    assert (len(split.train), len(split.test)) == sizes
