"""Attributes of users or items as numbers a tower can take; fitted on training data; pure."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recserve_trainer.tables import Column, ColumnKind

_ROWS_AT_ONCE: Final = 8192
_WORD: Final = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Feature:
    """How one attribute is encoded, in `width` columns."""

    name: str
    kind: ColumnKind
    vocabulary: tuple[str, ...] = ()
    """Known values of a category, or words of a text, one column each: 1 where it is there."""
    mean: float = 0.0
    deviation: float = 1.0
    """A number becomes (number - mean) / deviation, 0 where missing, and a column that is 1
    there."""

    @property
    def width(self) -> int:
        """Columns that this feature takes."""
        return 2 if self.kind == "number" else len(self.vocabulary)


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureLimits:
    """How much of a column is kept."""

    fewest: int = 2
    """Rows in which a value or a word must occur."""
    most: int = 2000
    """Values or words kept of a column, the most frequent."""


def fit_features(
    columns: dict[str, Column], rows: NDArray[np.int32], limits: FeatureLimits | None = None
) -> tuple[Feature, ...]:
    """Learns the encoding of every column from the given rows, those that training has.

    Values are kept in the order of their frequency, equal ones by name. A column that has nothing
    to keep is left out.
    """
    limits = limits or FeatureLimits()
    fitted = (
        _fit(name, Column(column.kind, column.values.take(pa.array(rows, pa.int64()))), limits)
        for name, column in columns.items()
    )
    return tuple(feature for feature in fitted if feature.width)


def encode(
    features: Sequence[Feature], columns: dict[str, Column], row_count: int
) -> NDArray[np.float32]:
    """Encodes all rows of the columns, side by side in the order of the features.

    A column that is not there is missing in every row; values not in the vocabulary are left out.

    Returns:
        float32 [row_count, sum of widths].
    """
    width = sum(feature.width for feature in features)
    encoded = np.zeros((row_count, width), np.float32)
    start = 0
    for feature in features:
        part = encoded[:, start : start + feature.width]
        start += feature.width
        column = columns.get(feature.name)
        if column is None:
            part[:, 1:] = feature.kind == "number"
        elif feature.kind == "number":
            _encode_numbers(feature, column, part)
        else:
            _encode_values(feature, column, part)
    return encoded


def encode_in_pieces(
    features: Sequence[Feature], columns: dict[str, Column], row_count: int
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Encodes as `encode` does, some rows at a time: dense, all of them may be gigabytes.

    Yields:
        Which rows, and float32 [their number, sum of widths].
    """
    for start in range(0, row_count, _ROWS_AT_ONCE):
        length = min(_ROWS_AT_ONCE, row_count - start)
        cut = {
            name: Column(column.kind, column.values.slice(start, length))
            for name, column in columns.items()
        }
        yield slice(start, start + length), encode(features, cut, length)


def numbers_of(column: Column) -> NDArray[np.float64]:
    """Returns a number column, float64 [rows], NaN where it is missing or not finite."""
    numbers = column.values.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def buckets_of(
    column: Column, known_rows: NDArray[np.int32], count: int
) -> tuple[NDArray[np.int64], int]:
    """Cuts a number column so that the known rows spread evenly over the buckets.

    Args:
        column: of kind number.
        known_rows: rows that training has.
        count: buckets, at most; fewer where numbers repeat.

    Returns:
        The bucket of each row, int64 [rows], -1 where the number is missing; and how many buckets
        there are, 0 if no known row has a number.
    """
    numbers = numbers_of(column)
    known = numbers[known_rows]
    known = known[np.isfinite(known)]
    if not len(known):
        return np.full(len(numbers), -1), 0
    cuts = np.unique(np.quantile(known, np.arange(1, count) / count))
    places = np.searchsorted(cuts, numbers, side="right")
    return np.where(np.isfinite(numbers), places, -1), len(cuts) + 1


def _fit(name: str, column: Column, limits: FeatureLimits) -> Feature:
    if column.kind == "number":
        numbers = numbers_of(column)
        known = numbers[~np.isnan(numbers)]
        if not len(known):
            return Feature(name, "category")  # of no width
        return Feature(
            name, "number", mean=float(known.mean()), deviation=float(known.std()) or 1.0
        )
    counts = Counter(value for values in _values(column) for value in set(values))
    kept = [value for value, count in counts.items() if count >= limits.fewest]
    kept.sort(key=lambda value: (-counts[value], value))
    return Feature(name, column.kind, vocabulary=tuple(kept[: limits.most]))


def _encode_numbers(feature: Feature, column: Column, part: NDArray[np.float32]) -> None:
    numbers = numbers_of(column)
    is_missing = np.isnan(numbers)
    part[:, 0] = np.where(is_missing, 0, (numbers - feature.mean) / feature.deviation)
    part[:, 1] = is_missing


def _encode_values(feature: Feature, column: Column, part: NDArray[np.float32]) -> None:
    column_of = {value: place for place, value in enumerate(feature.vocabulary)}
    for row, values in enumerate(_values(column)):
        for value in values:
            if (place := column_of.get(value)) is not None:
                part[row, place] = 1


def _values(column: Column) -> Iterable[Sequence[str]]:
    for value in column.values.to_pylist():
        if value is None:
            yield ()
        elif column.kind == "text":
            yield _WORD.findall(value.lower())
        else:
            yield (value,) if isinstance(value, str) else value
