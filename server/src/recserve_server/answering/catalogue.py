"""Items and users of an artifact, mapped from its Arrow files."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple, Self, cast, overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recserve_server.answering.arrow_file import map_table
from recserve_server.answering.row_index import RowDictionary, RowIndex, row_index
from recserve_server.answering.user_features import Known

_NO_ATTRIBUTES: Final = {"user_id", "history", "history_rating"}


class KnownItems(NamedTuple):
    """Given items, as far as the catalogue has them."""

    rows: NDArray[np.int32]
    """int32 [n], in the order given."""
    unknown_ids: tuple[str, ...] = ()
    """The others, in the order given."""


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
        batch = map_table(path, ("item_id", "title", "train_count"))
        return cls(
            _texts(batch, "item_id"),
            _texts(batch, "title"),
            _column(batch, "train_count", pa.int64()).to_numpy(),
        )

    def __len__(self) -> int:
        return len(self.item_ids)

    @cached_property
    def rows(self) -> RowIndex | RowDictionary:
        """Row by item id; made when first asked for."""
        return row_index(self.item_ids)

    def known(self, item_ids: Sequence[str]) -> KnownItems:
        """Tells given items that the catalogue has from others."""
        rows = self.rows.rows(item_ids)
        is_known = rows >= 0
        if is_known.all():
            return KnownItems(rows)
        pairs = zip(item_ids, is_known.tolist(), strict=True)
        return KnownItems(rows[is_known], tuple(item_id for item_id, known in pairs if not known))

    @property
    def train_counts(self) -> NDArray[np.int64]:
        """int64 [items], training interactions."""
        return self._train_counts

    @cached_property
    def ascending_counts(self) -> NDArray[np.float32]:
        """float32 [items], training interactions, ascending."""
        return self.by_popularity[1][::-1]

    @cached_property
    def by_popularity(self) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Item rows by falling training interactions, equal ones by row; and those counts."""
        rows = np.argsort(-self._train_counts, kind="stable").astype(np.int32)
        return rows, self._train_counts[rows].astype(np.float32)


class Histories(NamedTuple):
    """What users have seen, as compressed rows: `item_rows[offsets[u]:offsets[u + 1]]`."""

    offsets: NDArray[np.int64]
    item_rows: NDArray[np.int32]
    ratings: NDArray[np.float32] | None = None
    """Beside `item_rows`; None in artifacts from before they were written."""


class Profiles:
    """The attributes of users; what is never asked for is never read."""

    def __init__(self, batch: pa.RecordBatch | None = None) -> None:
        """Takes the user table; None for users of whom nothing is known."""
        schema = () if batch is None else batch.schema
        self._columns = {
            field.name: cast(pa.RecordBatch, batch).column(field.name)
            for field in schema
            if field.name not in _NO_ATTRIBUTES
        }

    def of(self, row: int) -> dict[str, Known]:
        """Returns the attributes of a user, by name, those left out that are missing."""
        values = {name: column[row].as_py() for name, column in self._columns.items()}
        return {
            name: float(value) if isinstance(value, int | float) else _texts_of(value)
            for name, value in values.items()
            if isinstance(value, str | int | float | list)
        }


def _texts_of(value: str | list[str | None]) -> str | tuple[str, ...]:
    if isinstance(value, str):
        return value
    return tuple(text for text in value if text is not None)


class Users:
    """The users that the model knows, by row of the user tower."""

    def __init__(self, user_ids: Sequence[str], histories: Histories, profiles: Profiles) -> None:
        """Takes ids, histories and profiles, in the order of the rows."""
        if len(histories.offsets) != len(user_ids) + 1:
            raise ValueError("user columns differ in length")
        self.row_of = {user_id: row for row, user_id in enumerate(user_ids)}
        """Row by user id."""
        self._histories, self._profiles = histories, profiles

    @classmethod
    def open(cls, path: Path) -> Self:
        """Maps users.arrow.

        Raises:
            OSError: the file cannot be read.
            ValueError: it is not an Arrow file or lacks a column.
        """
        batch = map_table(path, ("user_id", "history"))
        history = _column(batch, "history", pa.large_list(pa.int32()))
        assert isinstance(history, pa.LargeListArray)  # as its type says
        offsets, item_rows = history.offsets.to_numpy(), history.values.to_numpy()
        histories = Histories(offsets, item_rows, _ratings(batch, len(item_rows)))
        return cls(_texts(batch, "user_id"), histories, Profiles(batch))

    def __len__(self) -> int:
        return len(self.row_of)

    def some_ids(self, count: int) -> Iterator[str]:
        """Returns the ids of the first `count` users, or of all if there are fewer."""
        return islice(self.row_of, count)

    def history(self, row: int) -> NDArray[np.int32]:
        """Returns int32 [n]: the item rows that a user has seen, ascending."""
        offsets = self._histories.offsets
        return self._histories.item_rows[offsets[row] : offsets[row + 1]]

    def ratings(self, row: int) -> NDArray[np.float32]:
        """Returns float32 [n]: a user's ratings of `history(row)`, NaN where there are none."""
        offsets = self._histories.offsets
        if self._histories.ratings is None:
            return np.full(offsets[row + 1] - offsets[row], np.nan, np.float32)
        return self._histories.ratings[offsets[row] : offsets[row + 1]]

    def profile(self, row: int) -> dict[str, Known]:
        """Returns what is known of a user, by attribute."""
        return self._profiles.of(row)


def _ratings(batch: pa.RecordBatch, count: int) -> NDArray[np.float32] | None:
    if "history_rating" not in batch.schema.names:
        return None
    column = _column(batch, "history_rating", pa.large_list(pa.float32()))
    assert isinstance(column, pa.LargeListArray)  # as its type says
    ratings: NDArray[np.float32] = column.values.to_numpy()
    if len(ratings) != count:
        raise ValueError(f"column history_rating has {len(ratings)} entries, history {count}")
    return ratings


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
