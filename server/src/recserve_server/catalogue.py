"""Items and users of an artifact, mapped from its Arrow files."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Self, overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


class Catalogue:
    """The items, by row of the index."""

    def __init__(
        self, item_ids: Sequence[str], titles: Sequence[str], train_counts: NDArray[np.int64]
    ) -> None:
        """Takes three columns of one length; `train_counts` are the training interactions."""
        if not len(item_ids) == len(titles) == len(train_counts):
            raise ValueError("item columns differ in length")
        self.item_ids = item_ids
        self.titles = titles
        self._train_counts = train_counts

    @classmethod
    def open(cls, path: Path) -> Self:
        """Maps items.arrow: what is never asked for is never read.

        Raises:
            OSError: the file cannot be read.
            ValueError: it is not an Arrow file or lacks a column.
        """
        batch = _batch(path, ("item_id", "title", "train_count"))
        return cls(
            _texts(batch, "item_id"),
            _texts(batch, "title"),
            _column(batch, "train_count", pa.int64()).to_numpy(),
        )

    def __len__(self) -> int:
        return len(self.item_ids)

    @cached_property
    def by_popularity(self) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Item rows by falling training interactions, equal ones by row; and those counts."""
        rows = np.argsort(-self._train_counts, kind="stable").astype(np.int32)
        return rows, self._train_counts[rows].astype(np.float32)


class Users:
    """The users that the model knows, by row of the user tower."""

    def __init__(
        self, user_ids: Sequence[str], offsets: NDArray[np.int64], item_rows: NDArray[np.int32]
    ) -> None:
        """Takes ids and histories as compressed rows: `item_rows[offsets[u]:offsets[u + 1]]`."""
        if len(offsets) != len(user_ids) + 1:
            raise ValueError("user columns differ in length")
        self.row_of = {user_id: row for row, user_id in enumerate(user_ids)}
        """Row by user id."""
        self._offsets = offsets
        self._item_rows = item_rows

    @classmethod
    def open(cls, path: Path) -> Self:
        """Maps users.arrow.

        Raises:
            OSError: the file cannot be read.
            ValueError: it is not an Arrow file or lacks a column.
        """
        batch = _batch(path, ("user_id", "history"))
        history = _column(batch, "history", pa.large_list(pa.int32()))
        assert isinstance(history, pa.LargeListArray)  # as its type says
        offsets, item_rows = history.offsets.to_numpy(), history.values.to_numpy()
        return cls(_texts(batch, "user_id"), offsets, item_rows)

    def __len__(self) -> int:
        return len(self.row_of)

    def some_ids(self, count: int) -> Iterator[str]:
        """Returns the ids of the first `count` users, or of all if there are fewer."""
        return islice(self.row_of, count)

    def history(self, row: int) -> NDArray[np.int32]:
        """Returns int32 [n]: the item rows that a user has seen, ascending."""
        return self._item_rows[self._offsets[row] : self._offsets[row + 1]]


def _batch(path: Path, columns: Sequence[str]) -> pa.RecordBatch:
    with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as reader:
        if reader.num_record_batches != 1:
            raise ValueError(f"{path.name} has {reader.num_record_batches} batches, must have 1")
        batch = reader.get_batch(0)
    missing = set(columns) - set(batch.schema.names)
    if missing:
        raise ValueError(f"{path.name} lacks the columns {', '.join(sorted(missing))}")
    return batch


def _column(batch: pa.RecordBatch, name: str, kind: pa.DataType) -> "pa.Array[pa.Scalar[Any]]":
    column = batch.column(name)
    if column.type != kind or column.null_count:
        raise ValueError(
            f"column {name} is {column.type} with {column.null_count} nulls, must be {kind}"
        )
    return column


def _texts(batch: pa.RecordBatch, name: str) -> "_Texts":
    column = _column(batch, name, pa.string())
    assert isinstance(column, pa.StringArray)  # as its type says
    return _Texts(column)


class _Texts(Sequence[str]):
    """A column of strings that stays where it is mapped; only what is asked for is decoded."""

    def __init__(self, column: pa.StringArray) -> None:
        self._column = column

    def __len__(self) -> int:
        return len(self._column)

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> "_Texts": ...
    def __getitem__(self, row: int | slice) -> "str | _Texts":
        if isinstance(row, slice):
            return _Texts(self._column[row])
        return str(self._column[row].as_py())
