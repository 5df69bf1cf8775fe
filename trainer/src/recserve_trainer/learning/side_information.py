"""What items share, as rows of 0 and 1: for models that take a row to be a user."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from recserve_trainer.features import FeatureLimits, buckets_of, encode, fit_features
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
    buckets, count = buckets_of(column, known_rows, _BUCKETS)
    one_hot = np.zeros((len(buckets), count))
    there = np.flatnonzero(buckets >= 0)
    one_hot[there, buckets[there]] = 1
    return one_hot
