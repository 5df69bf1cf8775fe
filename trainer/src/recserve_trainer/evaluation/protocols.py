"""Ways to split that others have published results on, and one split at a point in time; pure.

Unlike `split.split_by_time` none of them has a validation part: settings are chosen inside the
training part, and the test part is looked at once.
"""

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from recserve_trainer.errors import DatasetError
from recserve_trainer.evaluation.split import Split
from recserve_trainer.interactions import Interactions

TRAIN_SHARE: Final = 0.75


def stratified_split(
    interactions: Interactions,
    by: Literal["item", "user"],
    *,
    seed: int,
    train_share: float = TRAIN_SHARE,
) -> Split:
    """Splits as recommenders-team does, digit for digit, if interactions stand in their file order.

    `python_stratified_split` of recommenders/datasets/python_splitters.py: every interaction draws
    a number in the order of the file; within each item (or user) the round(share * count) lowest
    train, half to even, and the others test. Every rating counts, whatever its height.

    Raises:
        DatasetError: nothing would be left to train or to test on.
    """
    rows = interactions.item_rows if by == "item" else interactions.user_rows
    # Their generator, of 2011: another would draw another split.
    draws = np.random.RandomState(seed).rand(len(rows))
    order = np.lexsort((draws, rows))
    counts = np.bincount(rows)
    starts = np.cumsum(counts) - counts
    place = np.arange(len(rows)) - starts[rows[order]]
    in_train = place < np.rint(train_share * counts)[rows[order]]
    return _split(
        interactions,
        order[in_train],
        order[~in_train],
        f"stratified by {by}, seed {seed}: a random {train_share:.0%} of each {by} train, rest "
        "test; every rating relevant (recommenders-team, python_stratified_split)",
    )


def time_split(interactions: Interactions, *, train_share: float = TRAIN_SHARE) -> Split:
    """Splits at one point in time for all: what came first trains, what came after tests.

    Only test interactions of users who have some in training are kept: nothing is known of the
    others. Equal timestamps are ordered by user and item row. Nothing is drawn, so there is no
    seed.

    Raises:
        DatasetError: nothing would be left to train or to test on.
    """
    order = np.lexsort((interactions.item_rows, interactions.user_rows, interactions.timestamps))
    boundary = round(train_share * len(order))
    train, later = order[:boundary], order[boundary:]
    is_known = np.isin(interactions.user_rows[later], interactions.user_rows[train])
    return _split(
        interactions,
        train,
        later[is_known],
        f"at one point in time: the oldest {train_share:.0%} of all interactions train, the newer "
        "ones of users who have any in training test",
    )


def _split(
    interactions: Interactions,
    train: NDArray[np.intp],
    test: NDArray[np.intp],
    description: str,
) -> Split:
    if not len(train) or not len(test):
        raise DatasetError(
            f"{len(interactions)} interactions give {len(train)} to train and {len(test)} to test "
            "on, must be one or more each; give more interactions"
        )
    return Split(
        train=interactions.take(train),
        validation=interactions.take(np.empty(0, np.intp)),
        test=interactions.take(test),
        description=description,
    )
