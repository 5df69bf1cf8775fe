"""Rows by id, for tables of any size."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

_FEW: Final = 200_000


def row_index(ids: Sequence[str]) -> "RowIndex | RowDictionary":
    """Returns what finds the rows of ids, each there once: fast, or small if there are many."""
    return RowDictionary(ids) if len(ids) <= _FEW else RowIndex(ids)


class RowDictionary:
    """Finds the rows of ids in a dictionary: about 100 bytes a row."""

    def __init__(self, ids: Sequence[str]) -> None:
        """Takes the ids by row."""
        self._row_of = {each: row for row, each in enumerate(ids)}

    def rows(self, ids: Sequence[str]) -> NDArray[np.int32]:
        """Returns int32 [n], the row of each id, -1 where there is none."""
        row_of = self._row_of
        return np.array([row_of.get(each, -1) for each in ids], np.int32)


class RowIndex:
    """Finds the rows of ids by their hashes: 12 bytes a row; the ids stay where they are."""

    def __init__(self, ids: Sequence[str], *, hash_of: Callable[[str], int] = hash) -> None:
        """Takes the ids by row, and what gives 64-bit numbers of them."""
        self._ids, self._hash_of = ids, hash_of
        hashes = np.fromiter(map(hash_of, ids), np.int64, len(ids))
        order = np.argsort(hashes, kind="stable")
        self._hashes, self._rows = hashes[order], order.astype(np.int32)

    def rows(self, ids: Sequence[str]) -> NDArray[np.int32]:
        """Returns int32 [n], the row of each id, -1 where there is none."""
        hashes = np.fromiter(map(self._hash_of, ids), np.int64, len(ids))
        first = np.searchsorted(self._hashes, hashes).tolist()
        found = (self._row(*each) for each in zip(ids, hashes.tolist(), first, strict=True))
        return np.fromiter(found, np.int32, len(ids))

    def _row(self, wanted: str, hashed: int, place: int) -> int:
        # Equal hashes stand side by side.
        while place < len(self._hashes) and self._hashes[place] == hashed:
            row = int(self._rows[place])
            if self._ids[row] == wanted:
                return row
            place += 1
        return -1
