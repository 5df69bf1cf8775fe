"""Attributes of items, column by column: filters to masks, rows to values."""

from collections import OrderedDict
from collections.abc import Hashable
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from recserve_server.answering.arrow_file import map_table
from recserve_server.query import Attribute, Filter, Match, RangeFilter, TextFilter

_NO_ATTRIBUTES: Final = {"item_id", "title", "train_count"}
_MOST_MASK_BYTES: Final = 64 * 2**20


class Codes(NamedTuple):
    """Texts of all items as numbers: item i's are `codes[offsets[i]:offsets[i + 1]]`."""

    offsets: NDArray[np.int64]
    codes: NDArray[np.int32]


class ItemAttributes:
    """The attributes of all items; what is never asked for is never read."""

    def __init__(self, columns: "dict[str, pa.Array[Any]]", item_count: int) -> None:
        """Takes columns of one length, of numbers, texts or lists of texts."""
        self._columns = {
            name: TextColumn(column) if _holds_texts(column.type) else NumberColumn(column)
            for name, column in sorted(columns.items())
        }
        self._item_count = item_count
        self._masks = _MaskCache(_MOST_MASK_BYTES)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Maps items.arrow.

        Raises:
            OSError: the file cannot be read.
            ValueError: it is no Arrow file of one batch.
        """
        batch = map_table(path)
        columns = {
            field.name: batch.column(field.name)
            for field in batch.schema
            if field.name not in _NO_ATTRIBUTES
            and (_is_number(field.type) or _holds_texts(field.type))
        }
        return cls(columns, batch.num_rows)

    @property
    def schema(self) -> tuple[Attribute, ...]:
        """The attributes, by name."""
        return tuple(
            Attribute(name, is_number=isinstance(column, NumberColumn))
            for name, column in self._columns.items()
        )

    def mask(
        self, filters: frozenset[Filter], allowed: NDArray[np.int32] | None = None
    ) -> NDArray[np.bool_]:
        """Returns bool [items]: which items fulfil all filters and, if given, are in `allowed`.

        Not to be written to: equal filters get the same array.

        Raises:
            KeyError: there is no such attribute.
            TypeError: the attribute is of the other type.
        """
        mask = self._masks.get(filters)
        if mask is None:
            mask = np.ones(self._item_count, np.bool_)
            for each in filters:
                mask &= self._mask(each)
            self._masks.put(filters, mask)
        if allowed is None:
            return mask
        is_allowed = np.zeros(self._item_count, np.bool_)
        is_allowed[allowed] = mask[allowed]
        return is_allowed

    def values(self, row: int) -> list[tuple[str, float | tuple[str, ...]]]:
        """Returns what is known of an item: number or texts by attribute, by name."""
        values = ((name, column.value(row)) for name, column in self._columns.items())
        return [(name, value) for name, value in values if value is not None]

    def codes(self, attribute: str) -> Codes:
        """Returns an attribute of texts as numbers.

        Raises:
            KeyError: there is no such attribute.
            TypeError: it holds numbers.
        """
        column = self._columns[attribute]
        if not isinstance(column, TextColumn):
            raise TypeError(f"{attribute} holds numbers, not texts")
        return column.codes

    def _mask(self, condition: Filter) -> NDArray[np.bool_]:
        mask = self._masks.get(condition)
        if mask is None:
            mask = self._columns[condition.attribute].mask(condition)
            self._masks.put(condition, mask)
        return mask


class NumberColumn:
    """A column of numbers, some perhaps missing."""

    def __init__(self, column: "pa.Array[Any]") -> None:
        self._column = column

    def mask(self, condition: Filter) -> NDArray[np.bool_]:
        """Returns bool [items]: which numbers lie in the range; a missing one does not."""
        if not isinstance(condition, RangeFilter):
            raise TypeError(f"{condition.attribute} holds numbers, not texts")
        numbers = self._numbers
        mask: NDArray[np.bool_] = (numbers >= condition.least) & (numbers <= condition.greatest)
        return mask

    def value(self, row: int) -> float | None:
        """Returns an item's number, None if it is missing."""
        number = self._column[row].as_py()
        # NaN is the only number that differs from itself.
        return float(number) if number is not None and number == number else None

    @cached_property
    def _numbers(self) -> NDArray[np.float64]:
        return self._column.cast(pa.float64()).to_numpy(zero_copy_only=False)


class TextColumn:
    """A column of texts or lists of texts, some perhaps missing."""

    def __init__(self, column: "pa.Array[Any]") -> None:
        self._column = column

    def mask(self, condition: Filter) -> NDArray[np.bool_]:
        """Returns bool [items]: which items fulfil the condition."""
        if not isinstance(condition, TextFilter):
            raise TypeError(f"{condition.attribute} holds texts, not numbers")
        wanted = [self._code_of[value] for value in condition.values if value in self._code_of]
        if condition.match is Match.ALL and len(wanted) < len(condition.values):
            return np.zeros(len(self._column), np.bool_)
        matches = self._matches(wanted)
        mask: NDArray[np.bool_]
        if condition.match is Match.ALL:
            mask = matches == len(wanted)
        else:
            mask = (matches == 0) == (condition.match is Match.NONE)
        return mask

    def value(self, row: int) -> tuple[str, ...] | None:
        """Returns an item's texts, None if there are none."""
        value = self._column[row].as_py()
        texts = (value,) if isinstance(value, str) else tuple(value or ())
        return tuple(text for text in texts if text is not None) or None

    @property
    def codes(self) -> Codes:
        """The texts as numbers, each at most once per item."""
        return self._encoded[0]

    @property
    def _code_of(self) -> dict[str, int]:
        return self._encoded[1]

    @cached_property
    def _encoded(self) -> tuple[Codes, dict[str, int]]:
        column, count = self._column, len(self._column)
        texts: pa.Array[Any] = column
        parents = np.arange(count)
        if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
            parents = pc.list_parent_indices(column).to_numpy().astype(np.int64)
            texts = pc.list_flatten(column)
        encoded = texts.dictionary_encode()
        codes = encoded.indices.fill_null(-1).to_numpy().astype(np.int64)
        width = len(encoded.dictionary) + 1
        pairs = np.unique(parents[codes >= 0] * width + codes[codes >= 0])
        parents, codes = np.divmod(pairs, width)
        offsets = np.searchsorted(parents, np.arange(count + 1))
        code_of = {str(text): code for code, text in enumerate(encoded.dictionary.to_pylist())}
        return Codes(offsets.astype(np.int64), codes.astype(np.int32)), code_of

    def _matches(self, wanted: list[int]) -> NDArray[np.int64]:
        """Returns int64 [items]: how many of the codes each item has."""
        offsets, codes = self.codes
        is_wanted = np.zeros(len(self._code_of) + 1, np.bool_)
        is_wanted[wanted] = True
        sums = np.concatenate([[0], np.cumsum(is_wanted[codes])])
        matches: NDArray[np.int64] = sums[offsets[1:]] - sums[offsets[:-1]]
        return matches


class _MaskCache:
    """The masks used last, as many as fit into some bytes."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes, self._bytes = most_bytes, 0
        self._masks: OrderedDict[Hashable, NDArray[np.bool_]] = OrderedDict()

    def get(self, key: Hashable) -> NDArray[np.bool_] | None:
        mask = self._masks.get(key)
        if mask is not None:
            self._masks.move_to_end(key)
        return mask

    def put(self, key: Hashable, mask: NDArray[np.bool_]) -> None:
        mask.flags.writeable = False
        self._masks[key] = mask
        self._bytes += mask.nbytes
        while self._bytes > self._most_bytes and len(self._masks) > 1:
            _, oldest = self._masks.popitem(last=False)
            self._bytes -= oldest.nbytes


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)


def _holds_texts(kind: pa.DataType) -> bool:
    """Whether a column holds texts or lists of texts."""
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)
