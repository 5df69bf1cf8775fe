"""Interactions and histories as plain arrays; no TensorFlow."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from recserve_trainer.tables import ItemTable, UserTable


@dataclass(frozen=True, slots=True)
class Interactions:
    """Who interacted with what, and when: four arrays of one length."""

    user_rows: NDArray[np.int32]
    """Rows of `Dataset.users`."""
    item_rows: NDArray[np.int32]
    """Rows of `Dataset.items`."""
    ratings: NDArray[np.float32]
    timestamps: NDArray[np.int64]
    """Seconds since 1970."""

    def __len__(self) -> int:
        return len(self.user_rows)

    def take(self, rows: NDArray[np.intp]) -> Self:
        """Returns the interactions at `rows`, in that order."""
        return type(self)(
            self.user_rows[rows], self.item_rows[rows], self.ratings[rows], self.timestamps[rows]
        )

    def joined(self, other: Self) -> Self:
        """Returns these interactions, then the others."""
        return type(self)(
            np.concatenate([self.user_rows, other.user_rows]),
            np.concatenate([self.item_rows, other.item_rows]),
            np.concatenate([self.ratings, other.ratings]),
            np.concatenate([self.timestamps, other.timestamps]),
        )


@dataclass(frozen=True, slots=True)
class Dataset:
    """Everything a model may learn from."""

    name: str
    version: str
    users: UserTable
    items: ItemTable
    interactions: Interactions

    @property
    def user_ids(self) -> list[str]:
        """Ids of the users, by row."""
        return self.users.ids


@dataclass(frozen=True, slots=True)
class Histories:
    """The distinct items of each user, ascending, as compressed rows."""

    offsets: NDArray[np.int64]
    """[users + 1]; user u's items are `item_rows[offsets[u]:offsets[u + 1]]`."""
    item_rows: NDArray[np.int32]

    @classmethod
    def of(cls, user_count: int, *interactions: Interactions) -> Self:
        """Gathers the items that each of `user_count` users has in any of `interactions`."""
        user_rows = np.concatenate([part.user_rows for part in interactions])
        item_rows = np.concatenate([part.item_rows for part in interactions])
        # One number a pair: sorting those takes a tenth of the time that sorting rows does.
        item_count = int(item_rows.max(initial=0)) + 1
        pairs = np.sort(user_rows.astype(np.int64) * item_count + item_rows)
        pairs = pairs[np.diff(pairs, prepend=-1) != 0]
        users, items = np.divmod(pairs, item_count)
        counts = np.bincount(users, minlength=user_count)
        return cls(
            np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), items.astype(np.int32)
        )

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, user_row: int) -> NDArray[np.int32]:
        return self.item_rows[self.offsets[user_row] : self.offsets[user_row + 1]]

    def pairs(self, user_rows: NDArray[np.int32]) -> NDArray[np.int32]:
        """Returns int32 [n, 2]: (position in `user_rows`, item row) for each item of each user."""
        counts = self.offsets[user_rows + 1] - self.offsets[user_rows]
        positions = np.repeat(np.arange(len(user_rows), dtype=np.int32), counts)
        items = [self[int(row)] for row in user_rows]
        return np.stack([positions, np.concatenate([*items, np.empty(0, np.int32)])], axis=1)
