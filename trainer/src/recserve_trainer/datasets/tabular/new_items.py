"""Items for a catalogue that is there already: its attributes say how the columns are read."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from recserve_trainer.catalogue_config import NewItemsConfig
from recserve_trainer.datasets.tabular.entities import Entities, read_entities
from recserve_trainer.datasets.tabular.errors import BadRows
from recserve_trainer.datasets.tabular.files import Table, open_table
from recserve_trainer.datasets.tabular.kinds import SEPARATORS
from recserve_trainer.datasets.tabular.reading import show_columns
from recserve_trainer.datasets.tabular.schema import (
    Attribute,
    TableSchema,
    find_schema,
    read_schema,
)
from recserve_trainer.errors import DatasetError
from recserve_trainer.progress import Progress
from recserve_trainer.tables import Column, ItemTable


def read_new_items(config: NewItemsConfig, catalogue: ItemTable, progress: Progress) -> ItemTable:
    """Reads items by the rules of own tables, each column as the catalogue has it.

    Columns that the catalogue lacks are left out, and said so; those that the file lacks are
    unknown of all its items. Rows are in the natural order of their ids.

    Raises:
        DatasetError: the file is broken, a column has values of another type, an id is in the
            catalogue, or there are bad rows and `config.bad_rows` is `fail`.
    """
    path = config.file
    if not path.is_file():
        raise DatasetError(f"there is no file {path}")
    schema = read_schema(find_schema(path.parent, config.schema))
    table = open_table(path, path.name, config.file_format, schema.delimiter)
    bad_rows = BadRows()
    entities = read_entities([table], _schema_of(table, schema.items, catalogue), bad_rows)
    assert entities is not None  # there is a table
    show_columns(entities.seen, progress)
    _note_missing(table, entities, catalogue, progress)
    bad_rows.settle(config.bad_rows, progress)
    _refuse_known(table, entities.ids, catalogue.ids)
    columns = {
        name: _conformed(table, name, entities, column)
        for name, column in catalogue.columns.items()
    }
    return ItemTable(entities.ids, entities.titles or entities.ids, columns)


def _schema_of(table: Table, told: TableSchema, catalogue: ItemTable) -> TableSchema:
    """Returns how to read the attributes of the catalogue, and to pass over all other columns."""
    attributes: dict[str, Attribute] = {}
    for name, column in catalogue.columns.items():
        attribute = told.attributes.get(name, Attribute(name))
        if attribute.column in table.names and not pa.types.is_null(column.values.type):
            attributes[name] = _attribute(table, attribute, column)
    known = replace(told, attributes=attributes)
    roles = known.columns_for(("id", "title"), table.names, table.file)
    taken = {*roles.values(), *(attribute.column for attribute in attributes.values())}
    others = {name: Attribute(name, "ignore") for name in table.names if name not in taken}
    return replace(known, roles=roles, attributes=others | attributes)


def _attribute(table: Table, attribute: Attribute, column: Column) -> Attribute:
    separator = None
    if column.kind == "category" and not pa.types.is_string(column.values.type):
        separator = attribute.separator or _separator(table, attribute.column)
    return Attribute(attribute.column, column.kind, separator)


def _separator(table: Table, column: str) -> str:
    """Returns what stands between values; of a column without any separator, the usual one."""
    values = [block.columns[column] for block in table.blocks([column], BadRows())]
    texts = [each for each in values if pa.types.is_string(each.type)]
    for separator in SEPARATORS:
        if any(pc.any(pc.match_substring(each, separator)).as_py() for each in texts):
            return separator
    return SEPARATORS[0]


def _note_missing(
    table: Table, entities: Entities, catalogue: ItemTable, progress: Progress
) -> None:
    ignored = [column for _, column, taken_for in entities.seen if taken_for == "ignored"]
    if ignored:
        progress.note(f"not in the catalogue and ignored: {', '.join(ignored)}")
    missing = [name for name in catalogue.columns if name not in entities.columns]
    if missing:
        progress.note(f"not in {table.file}, unknown of all new items: {', '.join(missing)}")


def _refuse_known(table: Table, ids: Sequence[str], known_ids: Sequence[str]) -> None:
    known = set(known_ids)
    repeated = [item_id for item_id in ids if item_id in known]
    if repeated:
        raise DatasetError(
            f"{table.file}: {len(repeated):,} of {len(ids):,} items are in the catalogue already, "
            f"the first {repeated[0]!r}; give only new ones"
        )


def _conformed(table: Table, name: str, entities: Entities, column: Column) -> Column:
    """Returns an attribute of all new items as the catalogue has it, but for types of numbers."""
    values: Any = pa.nulls(len(entities.ids), column.values.type)
    if name in entities.columns:
        values = entities.columns[name].values
    if column.kind == "number":
        return Column("number", values)
    try:
        return Column(column.kind, values.cast(column.values.type))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DatasetError(
            f"{table.file}: {name} is {values.type}, must be {column.values.type} as in the "
            "catalogue"
        ) from error
