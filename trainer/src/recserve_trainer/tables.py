"""Users and items with their attributes, as typed columns; no TensorFlow."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

import pyarrow as pa

ColumnKind: TypeAlias = Literal["number", "category", "text"]
"""`number`: a quantity. `category`: one value or several out of a set. `text`: words to be read."""
RESERVED_COLUMNS: Final = frozenset(
    {"item_id", "title", "train_count", "user_id", "history", "history_rating"}
)
"""Columns of the artifact's own tables, which no attribute may be called."""


@dataclass(frozen=True, slots=True)
class Column:
    """One attribute of every user or every item."""

    kind: ColumnKind
    values: "pa.Array[Any]"
    """One entry a row, null where it is not known. number: any integer or float type; category:
    string, or list of string where there may be several; text: string."""


def number_column(values: Sequence[float | None]) -> Column:
    """Makes a column of quantities, int64 or float64, from Python's."""
    return Column("number", pa.array(values))


def category_column(values: Sequence[str | None] | Sequence[list[str]]) -> Column:
    """Makes a column of one value a row, or of lists of values."""
    several = any(isinstance(value, list) for value in values)
    return Column("category", pa.array(values, pa.list_(pa.string()) if several else pa.string()))


@dataclass(frozen=True, slots=True)
class UserTable:
    """The users, one row per unique user id."""

    ids: list[str]
    columns: dict[str, Column] = field(default_factory=dict)
    """Attributes by name, e.g. age, occupation."""

    def __post_init__(self) -> None:
        _check(self.ids, self.columns)

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class ItemTable:
    """The catalogue, one row per unique item id."""

    ids: list[str]
    titles: list[str]
    """For display: in MovieLens 100K 1,682 items share 1,664 titles. Models may read the words."""
    columns: dict[str, Column] = field(default_factory=dict)
    """Attributes by name, e.g. year, genres."""

    def __post_init__(self) -> None:
        if len(self.titles) != len(self.ids):
            raise ValueError(f"{len(self.titles)} titles for {len(self.ids)} items")
        _check(self.ids, self.columns)

    def __len__(self) -> int:
        return len(self.ids)


def _check(ids: list[str], columns: dict[str, Column]) -> None:
    for name, column in columns.items():
        if name in RESERVED_COLUMNS:
            raise ValueError(f"a column cannot be called {name!r}")
        if len(column.values) != len(ids):
            raise ValueError(f"column {name!r} has {len(column.values)} rows for {len(ids)} ids")
