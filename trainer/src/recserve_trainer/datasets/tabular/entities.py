"""Tables of users or items: ids, titles and attributes."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recserve_trainer.datasets.id_order import natural
from recserve_trainer.datasets.tabular.errors import TOLD, BadRows
from recserve_trainer.datasets.tabular.files import Block, Table
from recserve_trainer.datasets.tabular.kinds import read_attribute
from recserve_trainer.datasets.tabular.schema import Attribute, TableSchema
from recserve_trainer.datasets.tabular.values import read_ids
from recserve_trainer.errors import DatasetError
from recserve_trainer.tables import Column


@dataclass(frozen=True, slots=True)
class Entities:
    """Users or items as a table has them, one row per id, in natural order."""

    ids: list[str]
    titles: list[str] | None = None
    columns: dict[str, Column] = field(default_factory=dict)
    seen: list[tuple[str, str, str]] = field(default_factory=list)
    """(file, column, what it was taken for), for a person."""

    def take(self, ids: list[str]) -> dict[str, Column]:
        """Returns the attributes of other ids; they are unknown where an id is not here."""
        rows = pc.index_in(pa.array(ids, pa.string()), pa.array(self.ids, pa.string()))
        return {
            name: Column(column.kind, column.values.take(rows))
            for name, column in self.columns.items()
        }


def read_entities(
    tables: Sequence[Table], schema: TableSchema, bad_rows: BadRows
) -> Entities | None:
    """Reads all parts of a table; None if there are none. Rows that are no entity go to `bad_rows`.

    An id that repeats is bad from its second row on. Without a title the id stands for it.

    Raises:
        DatasetError: a file is broken or has no column for the id, or parts differ in columns.
    """
    if not tables:
        return None
    first = tables[0]
    roles = ("id", "title") if schema.table == "items" else ("id",)
    column_of = schema.columns_for(roles, first.names, first.file)
    if "id" not in column_of:
        raise DatasetError(missing_role(first, "id", f"{schema.table}.id"))
    taken = set(column_of.values())
    names = [name for name in first.names if name not in taken]
    attributes = schema.attributes_of(names, first.file)
    wanted = [*taken, *(name for name in names if name not in taken)]
    for table in tables:
        require_columns(table, wanted, first)
    blocks = [block for table in tables for block in table.blocks(wanted, bad_rows)]
    return _entities(blocks, column_of, attributes, bad_rows)


def missing_role(table: Table, role: str, place: str) -> str:
    """Says that a file has no column for what it must have."""
    names = ", ".join(table.names)
    hint = "" if len(table.names) > 1 else "; fields that no comma parts need its delimiter"
    return (
        f"{table.path} has no column for the {role}, only {names}; name it in a schema as "
        f"{place}{hint}"
    )


def require_columns(table: Table, names: Sequence[str], first: Table) -> None:
    """Checks that a part has the columns that the first part has.

    Raises:
        DatasetError: it has not.
    """
    for name in names:
        if name not in table.names:
            raise DatasetError(f"{table.path} has no column {name!r}, which {first.path} has")


def _entities(
    blocks: list[Block],
    column_of: dict[str, str],
    attributes: dict[str, Attribute],
    bad_rows: BadRows,
) -> Entities:
    seen_ids: set[str] = set()
    ids: list[str] = []
    kept: list[Block] = []
    for block in blocks:
        found_ids, block = _unique(block, column_of["id"], seen_ids, bad_rows)
        ids += found_ids
        kept.append(block)
    attributes_read, keep, seen = _attributes(kept, attributes, bad_rows)
    order = [row for row in sorted(range(len(ids)), key=lambda row: natural(ids[row])) if keep[row]]
    rows = pa.array(order, pa.int64())
    file = kept[0].file if kept else ""
    titles = None
    if "title" in column_of and kept:
        texts = _whole(kept, column_of["title"]).cast(pa.string()).take(rows).to_pylist()
        titles = [(text or "").strip() or ids[row] for row, text in zip(order, texts, strict=True)]
    return Entities(
        ids=[ids[row] for row in order],
        titles=titles,
        columns={
            name: replace(column, values=column.values.take(rows))
            for name, column in attributes_read.items()
        },
        seen=[(file, column, role) for role, column in column_of.items()] + seen,
    )


def _unique(
    block: Block, id_column: str, seen_ids: set[str], bad_rows: BadRows
) -> tuple[list[str], Block]:
    """Returns the ids that are new, and their rows."""
    found = read_ids(block.columns[id_column], f"{block.file}: {id_column}")
    bad_rows.add(block.file, "no usable id", block.records[~found.good], [])
    block = block.kept(found.good)
    texts = found.values.to_pylist()
    ids = [texts[place] for place in found.indices[found.good].tolist()]
    is_new = np.ones(len(ids), np.bool_)
    for row, text in enumerate(ids):
        is_new[row] = text not in seen_ids
        seen_ids.add(text)
    repeated = [text for text, new in zip(ids, is_new, strict=True) if not new]
    bad_rows.add(block.file, "id repeats", block.records[~is_new], repeated)
    new_ids = [text for text, new in zip(ids, is_new, strict=True) if new]
    return new_ids, block.kept(is_new)


def _attributes(
    blocks: list[Block], attributes: dict[str, Attribute], bad_rows: BadRows
) -> tuple[dict[str, Column], Any, list[tuple[str, str, str]]]:
    """Returns the attributes of all blocks together, which rows are good, and what was seen."""
    keep = np.ones(sum(map(len, blocks)), np.bool_)
    columns: dict[str, Column] = {}
    seen: list[tuple[str, str, str]] = []
    for name, attribute in attributes.items():
        if not blocks:
            continue
        values = _whole(blocks, attribute.column)
        column, kind, good = read_attribute(values, attribute)
        told = kind if name == attribute.column else f"{name}, {kind}"
        seen.append((blocks[0].file, attribute.column, told))
        if column is not None:
            columns[name] = column
        _report(blocks, attribute, keep & ~good, bad_rows)
        keep &= good
    return columns, keep, seen


def _report(blocks: list[Block], attribute: Attribute, bad: Any, bad_rows: BadRows) -> None:
    start = 0
    for block in blocks:
        part = bad[start : start + len(block)]
        start += len(block)
        rows = np.flatnonzero(part)
        seen = block.columns[attribute.column].take(pa.array(rows[:TOLD], pa.int64())).to_pylist()
        bad_rows.add(block.file, f"{attribute.column} is no number", block.records[rows], seen)


def _whole(blocks: list[Block], column: str) -> Any:
    return pa.concat_arrays([block.columns[column] for block in blocks])
