"""Own tables on disk, CSV or Parquet: found, and streamed in blocks whose rows can be found again.

CSV is RFC 4180 in UTF-8, with or without a byte order mark; empty lines are no rows.
"""

import csv
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, Protocol, Self, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from recserve_trainer.datasets.tabular.errors import TOLD, BadRows
from recserve_trainer.errors import DatasetError

Values: TypeAlias = "pa.Array[Any]"
Mask: TypeAlias = NDArray[np.bool_]
_BLOCK_BYTES: Final = 2**24
_ROWS_PER_BLOCK: Final = 2**19


@dataclass(frozen=True, slots=True)
class Block:
    """Some rows of one file."""

    file: str
    columns: dict[str, Values]
    records: NDArray[np.int64]
    """The number of each row in its file, from 1."""

    def __len__(self) -> int:
        return len(self.records)

    def kept(self, mask: Mask) -> Self:
        """Returns the rows where `mask` is set."""
        if mask.all():
            return self
        chosen = pa.array(mask)
        columns = {name: values.filter(chosen) for name, values in self.columns.items()}
        return replace(self, columns=columns, records=self.records[mask])


class Table(Protocol):
    """One file of a table."""

    path: Path
    file: str
    """Its name for a person, within the folder of the tables."""
    names: list[str]

    def blocks(self, columns: Sequence[str], bad_rows: BadRows) -> Iterator[Block]:
        """Streams some of the columns; rows that are no rows at all go to `bad_rows`."""
        ...


def find_tables(folder: Path, table: str, file_format: str, delimiter: str) -> list[Table]:
    """Finds TABLE.csv, or parts: TABLE*.csv, or TABLE/*.csv; with Parquet likewise.

    Raises:
        DatasetError: a file has no columns, or two of one name, or cannot be read.
    """
    paths = [*folder.glob(f"{table}*.{file_format}"), *(folder / table).glob(f"*.{file_format}")]
    paths = sorted((path for path in paths if path.is_file()), key=_part_order)
    return [
        open_table(path, path.relative_to(folder).as_posix(), file_format, delimiter)
        for path in paths
    ]


def open_table(path: Path, file: str, file_format: str, delimiter: str) -> Table:
    """Opens one file, to be called `file` for a person.

    Raises:
        DatasetError: it has no columns, or two of one name, or cannot be read.
    """
    try:
        is_csv = file_format == "csv"
        table: Table = CsvTable(path, file, delimiter) if is_csv else ParquetTable(path, file)
    except (OSError, ValueError, csv.Error) as error:  # Arrow's errors are kinds of these
        raise DatasetError(f"{path}: {_first_line(error)}") from error
    _check_names(table)
    return table


class CsvTable:
    """A CSV file; its values are texts, an empty one where there is nothing."""

    def __init__(self, path: Path, file: str, delimiter: str) -> None:
        self.path, self.file, self._delimiter = path, file, delimiter
        # What is not UTF-8 further down is for those who read the rows.
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
            rows = csv.reader(lines, delimiter=delimiter)
            self.names = next((row for row in rows if row), [])

    def blocks(self, columns: Sequence[str], bad_rows: BadRows) -> Iterator[Block]:
        """Streams the columns as strings.

        Raises:
            DatasetError: the file cannot be parsed on.
        """
        bad_rows.open(self.file, self._places)
        misfits = _Misfits()
        kept_before = 0
        try:
            for batch in self._reader(columns, misfits):
                places = np.arange(kept_before, kept_before + len(batch), dtype=np.int64)
                kept_before += len(batch)
                columns_read = {name: batch.column(name) for name in columns}
                yield _texts(Block(self.file, columns_read, misfits.records(places)), bad_rows)
        except (OSError, ValueError) as error:
            raise DatasetError(f"{self.path}: {_first_line(error)}") from error
        reason = f"not {len(self.names)} fields"
        bad_rows.add(self.file, reason, misfits.all(), misfits.found)

    def _places(self, records: Sequence[int]) -> list[str]:
        lines = csv_lines(self.path, self._delimiter, records)
        return [f"{self.file}:{line}" for line in lines]

    def _reader(self, columns: Sequence[str], misfits: "_Misfits") -> pa_csv.CSVStreamingReader:
        return pa_csv.open_csv(
            self.path,
            # Only a single thread numbers the rows it cannot parse.
            pa_csv.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES),
            pa_csv.ParseOptions(
                delimiter=self._delimiter,
                newlines_in_values=True,
                invalid_row_handler=misfits.take,
            ),
            pa_csv.ConvertOptions(
                include_columns=list(columns),
                column_types={name: pa.binary() for name in columns},
                null_values=[],
            ),
        )


class _Misfits:
    """Rows of a CSV file with too few or too many fields."""

    def __init__(self) -> None:
        self._records: list[int] = []
        self.found: list[str] = []

    def take(self, row: Any) -> Literal["skip"]:
        self._records.append(row.number - 1)  # the header is the first
        if len(self.found) < TOLD:
            self.found.append(f"{row.actual_columns}")
        return "skip"

    def all(self) -> NDArray[np.int64]:
        return np.array(self._records, np.int64)

    def records(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Turns places among the rows that fit into numbers among all rows, from 1."""
        fitting_before = self.all() - 1 - np.arange(len(self._records))
        return places + 1 + np.searchsorted(fitting_before, places, side="right")


def csv_lines(path: Path, delimiter: str, records: Sequence[int]) -> list[int]:
    """Finds on which line each record begins; records, from 1, ascending.

    Reads the file up to the last of them once more: a value may have lines of its own.
    """
    limit = csv.field_size_limit(sys.maxsize)
    found: list[int] = []
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
            rows = csv.reader(lines, delimiter=delimiter)
            record, lines_before = -1, 0  # the header is record 0
            for row in rows:
                record += bool(row)
                while row and len(found) < len(records) and records[len(found)] == record:
                    found.append(lines_before + 1)
                if len(found) == len(records):
                    break
                lines_before = rows.line_num
    finally:
        csv.field_size_limit(limit)
    return found


class ParquetTable:
    """A Parquet file."""

    def __init__(self, path: Path, file: str) -> None:
        self.path, self.file = path, file
        with pq.ParquetFile(path) as opened:
            self.names = opened.schema_arrow.names

    def blocks(self, columns: Sequence[str], bad_rows: BadRows) -> Iterator[Block]:
        """Streams the columns in the types they have, dictionaries as their values.

        Raises:
            DatasetError: the file is broken.
        """
        name = self.file
        bad_rows.open(name, lambda records: [f"{name} row {record}" for record in records])
        before = 0
        try:
            with pq.ParquetFile(self.path) as file:
                for batch in file.iter_batches(_ROWS_PER_BLOCK, columns=list(columns)):
                    records = np.arange(before + 1, before + len(batch) + 1, dtype=np.int64)
                    before += len(batch)
                    yield Block(
                        name, {each: _plain(batch.column(each)) for each in columns}, records
                    )
        except (OSError, ValueError) as error:
            raise DatasetError(f"{self.path}: {_first_line(error)}") from error


def _texts(block: Block, bad_rows: BadRows) -> Block:
    """Turns bytes into strings, without rows that are not UTF-8."""
    try:
        columns = {name: values.cast(pa.string()) for name, values in block.columns.items()}
        return replace(block, columns=columns)
    except pa.ArrowInvalid:
        mask = np.ones(len(block), np.bool_)
        for values in block.columns.values():
            mask &= [_is_utf8(value) for value in values.to_pylist()]
        records = block.records[~mask]
        bad_rows.add(block.file, "not UTF-8", records, [])
        return _texts(block.kept(mask), bad_rows)


def _is_utf8(value: Any) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _plain(values: Values) -> Values:
    if pa.types.is_dictionary(values.type):
        return values.cast(values.type.value_type)
    if pa.types.is_large_string(values.type) or pa.types.is_string_view(values.type):
        return values.cast(pa.string())
    return values


def _part_order(path: Path) -> list[str | int]:
    """Orders part-9 before part-10."""
    parts = re.split(r"([0-9]+)", path.stem)
    return [int(part) if place % 2 else part for place, part in enumerate(parts)]


def _check_names(table: Table) -> None:
    if not table.names:
        raise DatasetError(f"{table.path} is empty, must begin with a line of column names")
    if any("\ufffd" in name for name in table.names):
        raise DatasetError(f"{table.path}: names of columns are not UTF-8")
    repeated = sorted({name for name in table.names if table.names.count(name) > 1})
    if repeated:
        raise DatasetError(f"{table.path} has more than one column called {', '.join(repeated)}")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
