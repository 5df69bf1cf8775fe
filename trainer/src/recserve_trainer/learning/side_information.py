"""What items share, as rows of 0 and 1: for models that take a row to be a user."""

from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recserve_trainer.features import FeatureLimits, encode, fit_features
from recserve_trainer.tables import Column, ItemTable

_BUCKETS: Final = 14
"""Of a number, each with as many items as the others."""
_LIMITS: Final = FeatureLimits(most=200)
"""Rarer values tie few items together, and each is 8 bytes per item."""


def side_information(items: ItemTable, known_rows: NDArray[np.int32]) -> NDArray[np.float64]:
    """Encodes all attributes of items as 0 and 1: what two items share, they share a one in.

    A category or a text has a column per value or word, a number one per bucket; buckets are cut so
    that the known items spread evenly over them. A missing value has no one.

    Returns:
        float64 [items, width].
    """
    columns = items.columns
    numbers = {name: column for name, column in columns.items() if column.kind == "number"}
    others = {name: column for name, column in columns.items() if column.kind != "number"}
    parts = [
        encode(fit_features(others, known_rows, _LIMITS), others, len(items)).astype(np.float64)
    ]
    parts += [_buckets(column, known_rows) for column in numbers.values()]
    return np.concatenate(parts, axis=1)


def _buckets(column: Column, known_rows: NDArray[np.int32]) -> NDArray[np.float64]:
    numbers = column.values.cast(pa.float64()).to_numpy(zero_copy_only=False)
    is_there = np.isfinite(numbers)
    known = numbers[known_rows][is_there[known_rows]]
    if not len(known):
        return np.empty((len(numbers), 0))
    cuts = np.unique(np.quantile(known, np.arange(1, _BUCKETS) / _BUCKETS))
    one_hot = np.zeros((len(numbers), len(cuts) + 1))
    there = np.flatnonzero(is_there)
    one_hot[there, np.searchsorted(cuts, numbers[there], side="right")] = 1
    return one_hot
