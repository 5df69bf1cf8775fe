"""Attributes of users and items: their kind by a schema or by their values, as typed columns."""

import re
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recserve_trainer.datasets.tabular.files import Mask, Values
from recserve_trainer.datasets.tabular.schema import Attribute
from recserve_trainer.datasets.tabular.values import is_number, read_numbers
from recserve_trainer.errors import DatasetError
from recserve_trainer.tables import Column

_MOST_CATEGORY_VALUES: Final = 1000
SEPARATORS: Final = ("|", ";")
"""What is taken for a separator without a schema; commas and spaces stand in sentences too."""


def read_attribute(values: Values, attribute: Attribute) -> tuple[Column | None, str, Mask]:
    """Makes a column of what a file has.

    Args:
        values: one a row; of texts an empty one stands for an unknown value.
        attribute: how to read them.

    Returns:
        The column, None if it is left out; what it was taken for, for a person; and [rows]
        whether a value is of its kind.

    Raises:
        DatasetError: its type cannot be of the kind that the schema says.
    """
    every = np.ones(len(values), np.bool_)
    if attribute.kind == "ignore":
        return None, "ignored", every
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.string())
        attribute = replace(attribute, kind=attribute.kind or "category")
    if pa.types.is_string(values.type):
        return _of_texts(values, attribute)
    if _is_list_of_texts(values.type) and attribute.kind in (None, "category"):
        return Column("category", values.cast(pa.list_(pa.string()))), "category, lists", every
    if not is_number(values.type):
        if attribute.kind is not None:
            raise DatasetError(
                f"column {attribute.column!r} is {values.type}, which cannot be a {attribute.kind}"
            )
        return None, f"ignored: {values.type}", every
    if attribute.kind in ("category", "text"):
        return _of_texts(_number_texts(values), attribute)
    return Column("number", _plain_numbers(values)), "number", every


def _of_texts(values: Values, attribute: Attribute) -> tuple[Column | None, str, Mask]:
    every = np.ones(len(values), np.bool_)
    texts: Any = pc.utf8_trim_whitespace(values)
    texts = _without_empty(texts)
    if texts.null_count == len(texts) and attribute.kind is None:
        return None, "ignored: no values", every
    kind, separator = attribute.kind, attribute.separator
    if kind is None:
        kind, separator = _inferred(texts)
    if kind == "number":
        numbers, is_finite = read_numbers(texts)
        good = is_finite | texts.is_null().to_numpy(zero_copy_only=False)
        return Column("number", _plain_numbers(pa.array(numbers, mask=~is_finite))), kind, good
    if kind == "text":
        return Column("text", texts), kind, every
    if separator is None:
        return Column("category", texts), kind, every
    return (
        Column("category", _split(texts, separator)),
        f"category, separated by {separator}",
        every,
    )


def _inferred(texts: Any) -> tuple[str, str | None]:
    known = texts.drop_null()
    if read_numbers(known)[1].all():
        return "number", None
    for separator in SEPARATORS:
        if pc.any(pc.match_substring(known, separator)).as_py() and _repeat(
            _split(known, separator).flatten()
        ):
            return "category", separator
    return ("category" if _repeat(known) else "text"), None


def _repeat(texts: Any) -> bool:
    """Tells whether there are few distinct values, each twice on average at least."""
    distinct = pc.count_distinct(texts).as_py()
    return distinct <= _MOST_CATEGORY_VALUES and 2 * distinct <= len(texts)


def _split(texts: Any, separator: str) -> Any:
    """Splits into lists, without the spaces around values and without empty values."""
    mark = re.escape(separator)
    tidy = pc.replace_substring_regex(texts, rf"\s*{mark}[\s{mark}]*", separator)
    tidy = pc.utf8_trim(tidy, separator + " \t")
    return pc.split_pattern(_without_empty(tidy), separator)


def _without_empty(texts: Any) -> Any:
    return pc.if_else(pc.equal(texts, pa.scalar("")), pa.scalar(None, pa.string()), texts)


def _plain_numbers(values: Any) -> Any:
    """Whole numbers as int64, others as float64; a NaN or an infinity is unknown."""
    if not pa.types.is_integer(values.type):
        values = values.cast(pa.float64())
        values = pc.if_else(pc.is_finite(values), values, pa.scalar(None, pa.float64()))
    try:
        return values.cast(pa.int64())
    except pa.ArrowInvalid:
        return values.cast(pa.float64())


def _number_texts(values: Values) -> Values:
    try:
        return values.cast(pa.int64()).cast(pa.string())
    except pa.ArrowInvalid:
        return values.cast(pa.string())


def _is_list_of_texts(kind: "pa.DataType") -> bool:
    return (pa.types.is_list(kind) or pa.types.is_large_list(kind)) and (
        pa.types.is_string(kind.value_type) or pa.types.is_large_string(kind.value_type)
    )
