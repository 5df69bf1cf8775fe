"""Which kind of item index to write, and whether the library for it is there."""

import importlib
from dataclasses import dataclass
from types import ModuleType
from typing import Final

from recserve_trainer.errors import IndexUnavailableError

EXACT_ITEMS: Final = 100_000
"""Up to so many items `auto` is exact. There a batch of 64 queries for the top 10 over vectors of
length 65 takes 22 ms exactly and 4 ms by candidates; at a million items 210 ms and 13 ms (2 cores).
ScaNN's rules of thumb, scann/docs/algorithms.md, advise partitions from the same size on."""

_INSTALL: Final = (
    "install it with: pip install 'recserve-trainer[scann]' (Linux x86_64, TensorFlow 2.20)"
)


@dataclass(frozen=True, slots=True)
class IndexChoice:
    """The kind of index to write."""

    kind: str
    """`exact` or `scann`."""
    reason: str
    """Why, in words that follow "index: exact, "."""


def choose_index(kind: str, item_count: int) -> IndexChoice:
    """Decides between `exact` and `scann` if `kind` is `auto`; else takes it as it is."""
    if kind != "auto":
        return IndexChoice(kind, "as asked for")
    if item_count <= EXACT_ITEMS:
        return IndexChoice("exact", f"as up to {EXACT_ITEMS:,} items")
    try:
        scann_library()
    except IndexUnavailableError as error:
        return IndexChoice("exact", f"though more than {EXACT_ITEMS:,} items: {error}")
    return IndexChoice("scann", f"as above {EXACT_ITEMS:,} items")


def scann_library() -> ModuleType:
    """Imports ScaNN's TensorFlow operations, and TensorFlow with them.

    Raises:
        IndexUnavailableError: not installed, or built for another TensorFlow.
    """
    try:
        importlib.import_module("scann")
        return importlib.import_module("scann.scann_ops.py.scann_ops")
    # A build that does not fit TensorFlow raises tf.errors.NotFoundError or OSError, not
    # ImportError.
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise IndexUnavailableError(
            f"the scann index cannot be used here ({reason}); {_INSTALL}"
        ) from error
