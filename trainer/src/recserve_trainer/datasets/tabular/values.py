"""Values of own tables as ids, numbers and times, whole blocks at once; with what is none."""

import re
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from recserve_trainer.datasets.tabular.files import Mask, Values
from recserve_trainer.datasets.tabular.schema import TIMESTAMP_UNITS
from recserve_trainer.errors import DatasetError

MAX_ID_BYTES: Final = 128
"""A server takes no longer ids in requests."""
_NUMBER: Final = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_ISO: Final = r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?)?$"
_ISO_ZONE: Final = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d(:?\d\d)?)$"
_UNIT_FROM: Final = {"s": 0.0, "ms": 1e11, "us": 1e14, "ns": 1e17}
"""Least size of a timestamp by its unit: 1e11 seconds are the year 5138, and as milliseconds
1973."""
_LATEST_S: Final = 1e11


@dataclass(frozen=True, slots=True)
class Ids:
    """Ids of a block, each distinct one once."""

    values: "pa.StringArray"
    """Distinct ids; after trimming some may be equal."""
    indices: NDArray[np.int32]
    """[rows]: places in `values`, -1 where there is none."""
    good: Mask
    """[rows]: whether it can be an id."""

    def rows(self, row_of_value: NDArray[np.int32]) -> NDArray[np.int32]:
        """Returns [rows]: what `row_of_value`, by place in `values`, gives; -1 for no id."""
        return np.append(row_of_value, np.int32(-1))[self.indices]


def read_ids(values: Values, place: str) -> Ids:
    """Reads ids: texts without the spaces around them, or whole numbers as their decimal text.

    Args:
        values: strings, or a type of number.
        place: file and column, for the error.

    Raises:
        DatasetError: the type cannot hold ids.
    """
    encoded: Any = values.dictionary_encode()
    distinct = encoded.dictionary
    if pa.types.is_floating(distinct.type) or pa.types.is_decimal(distinct.type):
        try:
            distinct = distinct.cast(pa.int64())
        except pa.ArrowInvalid as error:
            raise DatasetError(f"{place}: ids are not whole numbers: {error}") from error
    if not (pa.types.is_integer(distinct.type) or pa.types.is_string(distinct.type)):
        raise DatasetError(f"{place}: ids are {distinct.type}, must be texts or whole numbers")
    texts: Any = pc.utf8_trim_whitespace(distinct.cast(pa.string()))
    lengths = pc.binary_length(texts).to_numpy(zero_copy_only=False)
    has_control = pc.match_substring_regex(texts, r"[\x00-\x1f\x7f]")
    good = (lengths > 0) & (lengths <= MAX_ID_BYTES)
    good &= ~has_control.to_numpy(zero_copy_only=False).astype(np.bool_)
    indices = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
    return Ids(texts, indices, np.append(good, False)[indices])


def read_numbers(values: Values) -> tuple[NDArray[np.float64], Mask]:
    """Reads numbers, from texts or types of numbers.

    Returns:
        [rows] numbers and whether each is one; a NaN, an infinity and an empty text are none.
    """
    if pa.types.is_string(values.type):
        values = _trimmed(values)
        try:
            values = values.cast(pa.float64())
        except pa.ArrowInvalid:
            values = _where(pc.match_substring_regex(values, _NUMBER), values).cast(pa.float64())
    elif not is_number(values.type):
        return np.full(len(values), np.nan), np.zeros(len(values), np.bool_)
    numbers = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return numbers, np.isfinite(numbers)


def is_number(kind: "pa.DataType") -> bool:
    """Tells whether a type is one of numbers."""
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)


class Times:
    """Reads timestamps of one file: whole numbers of one unit, or ISO 8601 dates and times."""

    def __init__(self, unit: str | None) -> None:
        self._unit = unit
        self.described = ""
        """What they are, known once the first block is read."""

    def read(self, values: Values) -> tuple[NDArray[np.int64], Mask]:
        """Reads a block; without a zone a time is UTC, and a fraction of a second is cut off.

        Returns:
            [rows] seconds since 1970, and whether each is a time.
        """
        if pa.types.is_timestamp(values.type) or pa.types.is_date(values.type):
            self.described = self.described or str(values.type)
            return _seconds(values)
        if pa.types.is_string(values.type):
            values = _trimmed(values)
            if not self.described and self._unit is None:
                first = next((text for text in values.to_pylist() if text), "")
                self.described = "ISO 8601" if first and not re.match(_NUMBER, first) else ""
            if self.described == "ISO 8601":
                return _iso_seconds(values)
        return self._numeric(values)

    def _numeric(self, values: Values) -> tuple[NDArray[np.int64], Mask]:
        exact, good = _whole_numbers(values)
        if not self.described and good.any():
            size = float(np.median(np.abs(exact[good])))
            self._unit = self._unit or [u for u, least in _UNIT_FROM.items() if size >= least][-1]
            self.described = f"numbers in {self._unit}"
        seconds = exact // TIMESTAMP_UNITS[self._unit or "s"]
        return seconds, good & (np.abs(seconds) < _LATEST_S)


def _whole_numbers(values: Values) -> tuple[NDArray[np.int64], Mask]:
    # Nanoseconds do not fit a float64, so what is whole is not made one.
    if pa.types.is_string(values.type) or pa.types.is_integer(values.type):
        try:
            whole: Any = values.cast(pa.int64())
            numbers = pc.fill_null(whole, 0).to_numpy(zero_copy_only=False)
            return numbers, whole.is_valid().to_numpy(zero_copy_only=False).astype(np.bool_)
        except pa.ArrowInvalid:
            pass
    inexact, good = read_numbers(values)
    good = good & (np.abs(inexact) < 2.0**63)
    return np.where(good, np.floor(inexact), 0).astype(np.int64), good


def _iso_seconds(values: Values) -> tuple[NDArray[np.int64], Mask]:
    for kind in (pa.timestamp("ns"), pa.timestamp("ns", "UTC")):
        try:
            return _seconds(values.cast(kind))
        except pa.ArrowInvalid:
            continue
    local = _where(pc.match_substring_regex(values, _ISO), values)
    zoned = _where(pc.match_substring_regex(values, _ISO_ZONE), values)
    return _seconds(pc.coalesce(_parsed(local), _parsed(zoned, "UTC").cast(pa.timestamp("s"))))


def _parsed(values: Any, zone: str | None = None) -> Any:
    # What has the form of a date need not be one: the 30th of February.
    try:
        return values.cast(pa.timestamp("ns", zone)).cast(pa.timestamp("s", zone), safe=False)
    except pa.ArrowInvalid:
        parsed = [_one(text, zone) for text in values.to_pylist()]
        return pa.array(parsed, pa.timestamp("s", zone))


def _one(text: Any, zone: str | None) -> Any:
    try:
        return pa.scalar(text).cast(pa.timestamp("ns", zone)).cast(pa.int64()).as_py() // 10**9
    except (pa.ArrowInvalid, TypeError):
        return None


def _seconds(values: Any) -> tuple[NDArray[np.int64], Mask]:
    zone = values.type.tz if pa.types.is_timestamp(values.type) else None
    whole = values.cast(pa.timestamp("s", zone), safe=False).cast(pa.int64())
    good = whole.is_valid().to_numpy(zero_copy_only=False).astype(np.bool_)
    return pc.fill_null(whole, 0).to_numpy(zero_copy_only=False), good


def _trimmed(values: Values) -> Any:
    return pc.utf8_trim_whitespace(values)


def _where(mask: Any, values: Any) -> Any:
    """Returns the values where the mask is set, null elsewhere."""
    return pc.if_else(pc.fill_null(mask, False), values, pa.scalar(None, values.type))
