"""Writes the catalogue and the users' histories as Arrow files that a server maps, not reads."""

from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recserve_trainer.interactions import Histories
from recserve_trainer.tables import Column, ItemTable, UserTable

Columns: TypeAlias = "dict[str, pa.Array[Any]]"


def write_items(path: Path, items: ItemTable, train_counts: NDArray[np.int64]) -> None:
    """Writes items.arrow: one row per item, in the order of the index's rows."""
    columns: Columns = {
        "item_id": pa.array(items.ids, pa.string()),
        "title": pa.array(items.titles, pa.string()),
        "train_count": pa.array(train_counts, pa.int64()),
    }
    _write(path, columns | _attributes(items.columns))


def write_users(path: Path, users: UserTable, histories: Histories) -> None:
    """Writes users.arrow: one row per user, in the order of the user tower's rows."""
    offsets = pa.array(histories.offsets, pa.int64())
    item_rows = pa.array(histories.item_rows, pa.int32())
    _, ratings = histories.rated_pairs(np.arange(len(histories)))
    columns: Columns = {
        "user_id": pa.array(users.ids, pa.string()),
        "history": pa.LargeListArray.from_arrays(offsets, item_rows),
        # Given as NaN where there is none: a null would be a second array to look at.
        "history_rating": pa.LargeListArray.from_arrays(offsets, pa.array(ratings, pa.float32())),
    }
    _write(path, columns | _attributes(users.columns))


def _attributes(columns: dict[str, Column]) -> Columns:
    return {name: column.values for name, column in columns.items()}


def _write(path: Path, columns: Columns) -> None:
    # One batch: a reader then finds each column as one contiguous array.
    batch = pa.record_batch(list(columns.values()), names=list(columns))
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
