"""Splits each user's interactions by time: the past trains, the future tests."""

import hashlib
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recserve_trainer.config import SplitConfig
from recserve_trainer.errors import DatasetError
from recserve_trainer.interactions import Dataset, Interactions

_FEWEST_TO_SPLIT: Final = 3
_ROWS_PER_DIGEST: Final = 2**20


@dataclass(frozen=True, slots=True)
class Split:
    """Three disjoint parts; within a user no training interaction is newer than a later part's."""

    train: Interactions
    validation: Interactions
    test: Interactions
    description: str
    """The protocol, in words a person can check."""

    def with_validation_in_train(self) -> "Split":
        """Returns the split with nothing to validate on, and all that to train on."""
        return replace(
            self,
            train=self.train.joined(self.validation),
            validation=self.validation.take(np.empty(0, np.intp)),
        )


def split_by_time(interactions: Interactions, config: SplitConfig) -> Split:
    """Holds out each user's newest interactions.

    A user with n interactions gives max(1, round(share * n)) of them to test and to validation
    each, but keeps one for training; one with fewer than 3 gives all to training. Equal timestamps
    are ordered by item row, so the split does not depend on the order of the input.

    Raises:
        DatasetError: nothing would be left to test on.
    """
    order = np.lexsort((interactions.item_rows, interactions.timestamps, interactions.user_rows))
    users = interactions.user_rows[order]
    counts = np.bincount(users)[users]
    starts = np.searchsorted(users, users, side="left")
    from_newest = counts - 1 - (np.arange(len(users)) - starts)

    splittable = counts >= _FEWEST_TO_SPLIT
    test_counts = np.maximum(1, np.rint(config.test_share * counts)) * splittable
    validation_counts = np.maximum(1, np.rint(config.validation_share * counts)) * splittable
    # Both rounded up could leave a user nothing to be learnt from.
    validation_counts = np.minimum(validation_counts, np.maximum(0, counts - 1 - test_counts))
    in_test = from_newest < test_counts
    in_validation = ~in_test & (from_newest < test_counts + validation_counts)
    if not in_test.any():
        raise DatasetError(
            f"no user has {_FEWEST_TO_SPLIT} interactions or more, so nothing can be tested on; "
            "give more interactions"
        )
    return Split(
        train=interactions.take(order[~in_test & ~in_validation]),
        validation=interactions.take(order[in_validation]),
        test=interactions.take(order[in_test]),
        description=(
            f"per user by time: newest {config.test_share:.0%} test, next "
            f"{config.validation_share:.0%} validation, at least one each; rest train"
        ),
    )


def split_sha256(dataset: Dataset, split: Split) -> str:
    """Digests who interacted with what in which part; equal digests mean equal splits."""
    digest = hashlib.sha256()
    users: Any = pa.array(dataset.user_ids, pa.string())
    line_ends: Any = pa.array([f"{item}\n" for item in dataset.items.ids], pa.string())
    tab: Any = "\t"
    for part in (split.train, split.validation, split.test):
        # One number a pair: sorting those is several times as fast as sorting by two keys.
        order = np.argsort(part.user_rows.astype(np.int64) * len(dataset.items) + part.item_rows)
        for start in range(0, len(order), _ROWS_PER_DIGEST):
            rows = order[start : start + _ROWS_PER_DIGEST]
            lines: Any = pc.binary_join_element_wise(
                users.take(pa.array(part.user_rows[rows])),
                line_ends.take(pa.array(part.item_rows[rows])),
                tab,
            )
            # The strings stand in memory one after the other, as they are to be digested.
            digest.update(memoryview(lines.buffers()[2])[: pc.sum(pc.binary_length(lines)).as_py()])
        digest.update(b"\n")
    return digest.hexdigest()
