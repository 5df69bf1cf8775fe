"""Interactions of own tables, streamed into arrays of rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from recserve_trainer.datasets.id_order import natural
from recserve_trainer.datasets.tabular.entities import missing_role, require_columns
from recserve_trainer.datasets.tabular.errors import TOLD, BadRows
from recserve_trainer.datasets.tabular.files import Block, Mask, Table
from recserve_trainer.datasets.tabular.schema import TableSchema
from recserve_trainer.datasets.tabular.values import (
    MAX_ID_BYTES,
    Ids,
    Times,
    read_ids,
    read_numbers,
)
from recserve_trainer.errors import DatasetError
from recserve_trainer.interactions import Interactions
from recserve_trainer.progress import Progress

ROLES: Final = ("user", "item", "rating", "timestamp")
_ROWS_PER_NOTE: Final = 2_000_000
_MOST_RATING: Final = 1e30
_ID_WANTED: Final = f"is not 1 to {MAX_ID_BYTES} bytes without control characters"


class Codes(Protocol):
    """Numbers for ids."""

    def of(self, ids: "pa.StringArray") -> NDArray[np.int32]:
        """Returns the number of each id, -1 for one that has none."""
        ...

    def sorted(self) -> tuple[list[str], NDArray[np.int32]]:
        """Returns the ids in natural order, and [numbers]: the row that each has there."""
        ...


class GrowingIds:
    """Ids that are numbered as they come."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}

    def of(self, ids: "pa.StringArray") -> NDArray[np.int32]:
        """Returns the number of each id, a new one for a new id."""
        codes, texts = self._codes, ids.to_numpy(zero_copy_only=False)
        return np.array([codes.setdefault(text, len(codes)) for text in texts], np.int32)

    def sorted(self) -> tuple[list[str], NDArray[np.int32]]:
        """Returns the ids in natural order, and [numbers]: the row that each has there."""
        ids = list(self._codes)
        order = sorted(range(len(ids)), key=lambda code: natural(ids[code]))
        row_of_code = np.empty(len(ids), np.int32)
        row_of_code[order] = np.arange(len(ids), dtype=np.int32)
        return [ids[code] for code in order], row_of_code


class FixedIds:
    """Ids of a table, each with the number of its row."""

    def __init__(self, ids: list[str]) -> None:
        self._ids, self._known = ids, pa.array(ids, pa.string())

    def of(self, ids: "pa.StringArray") -> NDArray[np.int32]:
        """Returns the row of each id, -1 for one that the table lacks."""
        rows = pc.index_in(ids, self._known).fill_null(-1)
        return rows.to_numpy(zero_copy_only=False).astype(np.int32)

    def sorted(self) -> tuple[list[str], NDArray[np.int32]]:
        """Returns the ids, and their rows as they are."""
        return self._ids, np.arange(len(self._ids), dtype=np.int32)


@dataclass(frozen=True, slots=True)
class InteractionsReader:
    """Reads all parts of the interactions."""

    schema: TableSchema
    users: Codes
    items: Codes
    bad_rows: BadRows
    progress: Progress

    def read(self, tables: Sequence[Table]) -> tuple[Interactions, list[tuple[str, str, str]]]:
        """Reads them in the order of the files; rows that are none go to `bad_rows`.

        Returns:
            The interactions, numbers of ids in place of rows; and (file, column, what it was
            taken for).

        Raises:
            DatasetError: a file is broken or has no column for the user, the item or the time.
        """
        first = tables[0]
        column_of = self._columns(first)
        parts: list[Interactions] = []
        seen = []
        count, told = 0, _ROWS_PER_NOTE
        for table in tables:
            require_columns(table, list(column_of.values()), first)
            times = Times(self.schema.timestamp_unit)
            for block in table.blocks(list(column_of.values()), self.bad_rows):
                parts.append(self._block(block, column_of, times))
                count += len(parts[-1])
                if count >= told:
                    self.progress.note(f"{count:,} interactions read")
                    told = count + _ROWS_PER_NOTE
            seen += _seen(table, column_of, times)
        return _joined(parts), seen

    def _columns(self, table: Table) -> dict[str, str]:
        column_of = self.schema.columns_for(ROLES, table.names, table.file)
        for role in ("user", "item", "timestamp"):
            if role not in column_of:
                raise DatasetError(missing_role(table, role, f"interactions.{role}"))
        return column_of

    def _block(self, block: Block, column_of: dict[str, str], times: Times) -> Interactions:
        values = {role: block.columns[column] for role, column in column_of.items()}
        checks = _Checks(block, column_of, self.bad_rows)
        users = read_ids(values["user"], f"{block.file}: {column_of['user']}")
        items = read_ids(values["item"], f"{block.file}: {column_of['item']}")
        checks.require("user", users.good, _ID_WANTED)
        checks.require("item", items.good, _ID_WANTED)
        seconds, is_time = times.read(values["timestamp"])
        checks.require("timestamp", is_time, "is no time")
        ratings = np.ones(len(block))
        if "rating" in values:
            ratings, is_rating = read_numbers(values["rating"])
            checks.require("rating", is_rating & (np.abs(ratings) < _MOST_RATING), "is no number")
        # Ids are numbered last, so that none of a bad row alone gets a number.
        item_codes = _codes(items, checks.good, self.items)
        checks.require("item", item_codes >= 0, "is not in the table of items")
        good = checks.good
        return Interactions(
            _codes(users, good, self.users)[good],
            item_codes[good],
            ratings[good].astype(np.float32),
            seconds[good],
        )


class _Checks:
    """Which rows of a block are good so far; a bad one counts once, for the first reason."""

    def __init__(self, block: Block, column_of: dict[str, str], bad_rows: BadRows) -> None:
        self._block, self._column_of, self._bad_rows = block, column_of, bad_rows
        self.good: Mask = np.ones(len(block), np.bool_)

    def require(self, role: str, holds: Mask, reason: str) -> None:
        """Drops the rows where something does not hold, and reports them."""
        if holds.all():
            return
        rows = np.flatnonzero(self.good & ~holds)
        column = self._column_of[role]
        seen = self._block.columns[column].take(pa.array(rows[:TOLD], pa.int64())).to_pylist()
        reason = f"{role} {reason}"
        self._bad_rows.add(self._block.file, reason, self._block.records[rows], seen)
        self.good = self.good & holds


def newest(interactions: Interactions, item_count: int) -> Interactions:
    """Keeps of each user and item the newest interaction, of equal times the last in the files.

    Args:
        interactions: rows of users and items, in the order of the files.
        item_count: more than any item's row.
    """
    pairs = interactions.user_rows.astype(np.int64) * item_count + interactions.item_rows
    # Most files have no repetition, and sorting numbers is much cheaper than sorting rows.
    ordered = np.sort(pairs)
    if not (ordered[1:] == ordered[:-1]).any():
        return interactions
    order = np.lexsort((interactions.timestamps, pairs))
    is_last = np.append(np.diff(pairs[order]) != 0, True)
    return interactions.take(np.sort(order[is_last]))


def _codes(ids: Ids, good: Mask, codes: Codes) -> NDArray[np.int32]:
    """Returns [rows]: the numbers of the ids that stand in good rows; -1 in others."""
    used = np.unique(ids.indices[good])
    code_of_value = np.full(len(ids.values), -1, np.int32)
    code_of_value[used] = codes.of(ids.values.take(pa.array(used, pa.int64())))
    return ids.rows(code_of_value)


def _joined(parts: list[Interactions]) -> Interactions:
    return Interactions(
        np.concatenate([part.user_rows for part in parts] or [np.empty(0, np.int32)]),
        np.concatenate([part.item_rows for part in parts] or [np.empty(0, np.int32)]),
        np.concatenate([part.ratings for part in parts] or [np.empty(0, np.float32)]),
        np.concatenate([part.timestamps for part in parts] or [np.empty(0, np.int64)]),
    )


def _seen(table: Table, column_of: dict[str, str], times: Times) -> list[tuple[str, str, str]]:
    file = table.file
    seen = []
    for role, column in column_of.items():
        seen.append(
            (file, column, f"timestamp, {times.described}" if role == "timestamp" else role)
        )
    others = [name for name in table.names if name not in column_of.values()]
    return seen + [(file, name, "ignored") for name in others]
