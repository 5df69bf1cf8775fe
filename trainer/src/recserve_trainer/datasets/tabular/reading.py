"""Own tables, CSV or Parquet -> users, items and interactions; streamed, block by block.

In the folder are interactions.csv (user, item, timestamp, perhaps rating), and perhaps items.csv
(id, title, any attributes) and users.csv (id, any attributes); or the same as Parquet.
"""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table as ShownTable

from recserve_trainer.config import DatasetConfig
from recserve_trainer.datasets.tabular.entities import Entities, read_entities
from recserve_trainer.datasets.tabular.errors import BadRows
from recserve_trainer.datasets.tabular.files import Table, find_tables
from recserve_trainer.datasets.tabular.interactions import (
    Codes,
    FixedIds,
    GrowingIds,
    InteractionsReader,
    newest,
)
from recserve_trainer.datasets.tabular.schema import Schema, find_schema, read_schema
from recserve_trainer.errors import DatasetError
from recserve_trainer.interactions import Dataset, Interactions
from recserve_trainer.progress import Progress
from recserve_trainer.tables import Column, ItemTable, UserTable


def load_tabular(config: DatasetConfig, progress: Progress) -> Dataset:
    """Reads the folder that `config.tables` names, and says what was taken for what.

    Users and items get their rows in the natural order of their ids. An interaction with an item
    that items.csv lacks is a bad row; without items.csv the items are those with interactions, and
    their ids are their titles. A user of users.csv without interactions is left out. Of several
    interactions of one user with one item the newest counts.

    Raises:
        DatasetError: there are no interactions, a file is broken, a column is not found, or there
            are bad rows and `config.bad_rows` is `fail`.
    """
    if config.tables is None:
        raise ValueError(f"{config.name} is no folder of tables")
    start_s = time.perf_counter()
    file_format, folder = config.tables
    schema_path = find_schema(folder, config.schema)
    schema = read_schema(schema_path)
    found = {
        name: find_tables(folder, name, file_format, schema.delimiter)
        for name in ("interactions", "items", "users")
    }
    _require_interactions(found["interactions"], file_format, folder)
    dataset = _read(found, schema, config, progress)
    files = [table.path for tables in found.values() for table in tables]
    version = _sha256([*files, *([schema_path] if schema_path else [])])
    progress.note(
        f"{len(dataset.interactions):,} interactions read in {time.perf_counter() - start_s:.1f} s"
    )
    name = f"{file_format}:{folder.resolve().name}"
    return replace(dataset, name=name, version=f"sha256:{version[:12]}")


def _require_interactions(tables: list[Table], file_format: str, folder: Path) -> None:
    if not folder.is_dir():
        raise DatasetError(f"folder {folder} does not exist")
    if not tables:
        there = ", ".join(sorted(path.name for path in folder.iterdir())) or "nothing"
        raise DatasetError(
            f"{folder} has no interactions.{file_format}, interactions*.{file_format} or "
            f"interactions/*.{file_format}, but {there}"
        )


def _read(
    found: dict[str, list[Table]], schema: Schema, config: DatasetConfig, progress: Progress
) -> Dataset:
    bad_rows = BadRows()
    items = read_entities(found["items"], schema.items, bad_rows)
    users = read_entities(found["users"], schema.users, bad_rows)
    user_codes = GrowingIds()
    item_codes: Codes = FixedIds(items.ids) if items else GrowingIds()
    reader = InteractionsReader(schema.interactions, user_codes, item_codes, bad_rows, progress)
    coded, seen = reader.read(found["interactions"])
    show_columns([*seen, *(items.seen if items else []), *(users.seen if users else [])], progress)
    bad_rows.settle(config.bad_rows, progress)
    if not len(coded):
        raise DatasetError(f"{config.name} holds no interactions")
    user_ids, user_row_of = user_codes.sorted()
    item_ids, item_row_of = item_codes.sorted()
    interactions = Interactions(
        user_row_of[coded.user_rows],
        item_row_of[coded.item_rows],
        coded.ratings,
        coded.timestamps,
    )
    kept = newest(interactions, len(item_ids))
    if len(kept) < len(interactions):
        progress.note(
            f"{len(interactions) - len(kept):,} interactions repeat a user and an item; the newest "
            "of each counts"
        )
    _note_times(kept, progress)
    titles = (items.titles if items else None) or item_ids
    return Dataset(
        config.name,
        "",
        UserTable(user_ids, _profiles(users, user_ids, progress)),
        ItemTable(item_ids, titles, items.columns if items else {}),
        kept,
    )


def _profiles(users: Entities | None, user_ids: list[str], progress: Progress) -> dict[str, Column]:
    if users is None:
        return {}
    known = set(users.ids)
    with_profile = sum(user_id in known for user_id in user_ids)
    progress.note(f"{with_profile:,} of {len(user_ids):,} users have a row in the table of users")
    if others := len(users.ids) - with_profile:
        progress.note(f"{others:,} users without interactions are left out")
    return users.take(user_ids)


def show_columns(seen: Sequence[tuple[str, str, str]], progress: Progress) -> None:
    """Tells what was taken for what: rows of file, column and meaning."""
    table = ShownTable(box=SIMPLE_HEAD)
    for name in ("file", "column", "taken for"):
        table.add_column(name)
    for row in seen:
        table.add_row(*map(escape, row))
    progress.table(table)


def _note_times(interactions: Interactions, progress: Progress) -> None:
    first, last = (
        np.datetime64(int(seconds), "s")
        for seconds in (interactions.timestamps.min(), interactions.timestamps.max())
    )
    progress.note(f"interactions are from {first} to {last} UTC")


def _sha256(files: Sequence[Path]) -> str:
    """Digests the content of all files, in their order."""
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as content:
            digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()
