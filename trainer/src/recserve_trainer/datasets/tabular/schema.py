"""What the columns of own tables mean: said in a schema file, or known by their names."""

import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, get_args

from recserve_trainer.errors import DatasetError
from recserve_trainer.tables import RESERVED_COLUMNS, ColumnKind

SCHEMA_FILES: Final = ("schema.json", "schema.toml")
TIMESTAMP_UNITS: Final = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
"""Per second, by name."""
_KINDS: Final = (*get_args(ColumnKind), "ignore")
_USER: Final = "user userid username customer customerid client clientid account accountid member"
_ITEM: Final = "item itemid product productid article articleid sku asin movie movieid book bookid"
_TIME: Final = "timestamp time date datetime eventtime createdat occurredat purchasedat ratedat"
_ALIASES: Final = {
    "user": f"{_USER} memberid visitor visitorid reader readerid".split(),
    "item": f"{_ITEM} isbn track trackid song songid film filmid".split(),
    "rating": ["rating", "stars", "score"],
    "timestamp": f"{_TIME} unixtime unixreviewtime".split(),
    "title": ["title", "name", "itemname", "productname"],
}
"""Names that are known without a schema: in any case, without regard to `_`, `-` and spaces."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """How one attribute of users or items is read."""

    column: str
    """Name in the file."""
    kind: str | None = None
    """A kind of column or `ignore`; None to go by the values."""
    separator: str | None = None
    """What stands between the values of a category, e.g. "|"; None: one value a row."""


@dataclass(frozen=True, slots=True)
class TableSchema:
    """What is said of one table; what is not said is known by names and values."""

    table: str
    """`interactions`, `items` or `users`."""
    roles: dict[str, str] = field(default_factory=dict)
    """Column by role: user, item, rating, timestamp; or id, title."""
    attributes: dict[str, Attribute] = field(default_factory=dict)
    timestamp_unit: str | None = None

    def columns_for(self, roles: Sequence[str], names: list[str], file: str) -> dict[str, str]:
        """Finds the column of every role that the file has one for.

        Raises:
            DatasetError: the schema names a column that is not there, or two could be meant.
        """
        found: dict[str, str] = {}
        for role in roles:
            if role in self.roles:
                _must_have(self.roles[role], f"{self.table}.{role}", names, file)
                found[role] = self.roles[role]
            elif column := self._by_name(role, names, file):
                found[role] = column
        return found

    def _by_name(self, role: str, names: list[str], file: str) -> str | None:
        taken = set(self.roles.values()) | {each.column for each in self.attributes.values()}
        known = _ALIASES[role] if role != "id" else ["id", *_ALIASES[self.table.removesuffix("s")]]
        matching = [name for name in names if _plain(name) in known and name not in taken]
        if len(matching) > 1:
            raise DatasetError(
                f"{file}: {' and '.join(map(repr, matching))} could both be the {role}; say which "
                f"in a schema, {self.table}.{role}"
            )
        return matching[0] if matching else None

    def attributes_of(self, names: list[str], file: str) -> dict[str, Attribute]:
        """Returns how to read each of `names`, the columns that have no role, by attribute.

        Raises:
            DatasetError: the schema names a column that is not there, or an attribute would take a
                name that the artifact uses itself.
        """
        for name, attribute in self.attributes.items():
            _must_have(attribute.column, f"{self.table}.columns.{name}", names, file)
        described = {attribute.column for attribute in self.attributes.values()}
        rest = {name: Attribute(name) for name in names if name not in described}
        for name, attribute in (rest | self.attributes).items():
            if name in RESERVED_COLUMNS and attribute.kind != "ignore":
                raise DatasetError(
                    f"{file}: an attribute cannot be called {name!r}; leave it out or rename it in "
                    f'a schema, {self.table}.columns: {{"{name}": "ignore"}} or '
                    f'{{"NEW_NAME": {{"column": "{name}"}}}}'
                )
        return rest | self.attributes


@dataclass(frozen=True, slots=True)
class Schema:
    """What is said of all tables."""

    interactions: TableSchema = TableSchema("interactions")
    items: TableSchema = TableSchema("items")
    users: TableSchema = TableSchema("users")
    delimiter: str = ","
    """Character between the fields of a CSV file."""


def find_schema(folder: Path, given: Path | None) -> Path | None:
    """Returns the schema that was given, else the one in the folder, else None."""
    return given or next((folder / n for n in SCHEMA_FILES if (folder / n).is_file()), None)


def read_schema(path: Path | None) -> Schema:
    """Reads a schema from JSON, or from TOML if the file is called so; None says nothing.

    Raises:
        DatasetError: it cannot be read, or says something that is not known.
    """
    if path is None:
        return Schema()
    try:
        text = path.read_text("utf-8")
        content = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
        return _schema(content)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        # Both parsers raise kinds of ValueError.
        raise DatasetError(f"schema {path}: {error}") from error


def _schema(content: Any) -> Schema:
    known = {
        "interactions": ("user", "item", "rating", "timestamp", "timestamp_unit"),
        "items": ("id", "title", "columns"),
        "users": ("id", "columns"),
    }
    _check_keys("the schema", content, (*known, "delimiter"))
    tables: dict[str, TableSchema] = {}
    for table, keys in known.items():
        told = content.get(table, {})
        _check_keys(table, told, keys)
        unit = told.get("timestamp_unit")
        if unit not in (None, *TIMESTAMP_UNITS):
            raise ValueError(f"timestamp_unit is {unit!r}, must be one of {_all(TIMESTAMP_UNITS)}")
        roles = {key: told[key] for key in told if key not in ("timestamp_unit", "columns")}
        for role, column in roles.items():
            _check_text(f"{table}.{role}", column)
        tables[table] = TableSchema(table, roles, _attributes(table, told.get("columns", {})), unit)
    delimiter = content.get("delimiter", ",")
    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '"\r\n':
        raise ValueError(f"delimiter is {delimiter!r}, must be one character")
    return Schema(tables["interactions"], tables["items"], tables["users"], delimiter)


def _attributes(table: str, told: Any) -> dict[str, Attribute]:
    if not isinstance(told, dict):
        raise ValueError(f"{table}.columns is {told!r}, must map names to kinds")
    attributes: dict[str, Attribute] = {}
    for name, rule in told.items():
        rule = {"kind": rule} if isinstance(rule, str) else rule
        _check_keys(f"{table}.columns.{name}", rule, ("kind", "separator", "column"))
        kind, separator = rule.get("kind"), rule.get("separator")
        if kind not in (None, *_KINDS):
            raise ValueError(f"{table}.columns.{name} is {kind!r}, must be one of {_all(_KINDS)}")
        if separator is not None:
            _check_text(f"{table}.columns.{name}.separator", separator)
            if kind != "category":
                raise ValueError(f"{table}.columns.{name}: only a category has a separator")
        column: Any = rule.get("column", name)
        _check_text(f"{table}.columns.{name}.column", column)
        attributes[name] = Attribute(column, kind, separator)
    return attributes


def _check_keys(place: str, told: Any, known: Sequence[str]) -> None:
    if not isinstance(told, dict):
        raise ValueError(f"{place} is {told!r}, must map {_all(known)}")
    for key in told:
        if key not in known:
            raise ValueError(f"{place} has {key!r}, must have only {_all(known)}")


def _check_text(place: str, value: Any) -> None:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{place} is {value!r}, must be a text")


def _must_have(column: str, place: str, names: list[str], file: str) -> None:
    if column not in names:
        raise DatasetError(
            f"{file} has no column {column!r}, which the schema names as {place}; it has "
            f"{_all(names)}"
        )


def _plain(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())


def _all(names: Any) -> str:
    return ", ".join(names)
