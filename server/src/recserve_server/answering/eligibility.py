"""Which items may come back: exclusions by row, filters as masks over the catalogue."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recserve_server.answering.tables import Tables
from recserve_server.model import Restriction
from recserve_server.query import Selection

NOTHING = np.empty(0, np.int32)


class Eligible(NamedTuple):
    """Which items may come back to one caller."""

    excluded: NDArray[np.int32] = NOTHING
    """int32 [n], rows, each once."""
    mask: NDArray[np.bool_] | None = None
    """bool [items], None if it holds for all; not to be written to."""
    unknown_excluded: int = 0
    """Excluded ids that the model does not know."""

    def __call__(self, item_count: int) -> NDArray[np.bool_]:
        """Returns bool [items]: which items may come back."""
        may = np.ones(item_count, np.bool_) if self.mask is None else self.mask.copy()
        may[self.excluded] = False
        return may


class Eligibility:
    """Turns what callers select into rows and masks."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def of(self, selection: Selection, *seen: NDArray[np.int32]) -> Eligible:
        """Returns which items may come back.

        Args:
            selection: what the caller selects.
            *seen: int32 [n] each, rows of further items that may not come back.
        """
        excluded, unknown = seen, 0
        if selection.excluded_item_ids:
            given = self._tables.catalogue.known(selection.excluded_item_ids)
            excluded, unknown = (*seen, given.rows), len(given.unknown_ids)
        if len(excluded) > 1:
            merged = np.unique(np.concatenate(excluded))
        else:
            merged = excluded[0] if excluded else NOTHING
        return Eligible(merged, self._mask(selection), unknown)

    def _mask(self, selection: Selection) -> NDArray[np.bool_] | None:
        if selection.allowed_item_ids is None and not selection.filters:
            return None
        allowed = None
        if selection.allowed_item_ids is not None:
            allowed = self._tables.catalogue.known(list(selection.allowed_item_ids)).rows
        return self._tables.attributes.mask(selection.filters, allowed)


def restriction(eligible: Sequence[Eligible], item_count: int) -> Restriction:
    """Returns what a batch of searches takes; equal masks are handed over once."""
    excluded = pairs([each.excluded for each in eligible])
    masks: list[NDArray[np.bool_]] = []
    place_of: dict[int, int] = {}
    mask_of = np.zeros(len(eligible), np.int32)
    if any(each.mask is not None for each in eligible):
        everything = np.ones(item_count, np.bool_)
        for place, each in enumerate(eligible):
            mask = everything if each.mask is None else each.mask
            if id(mask) not in place_of:
                place_of[id(mask)] = len(masks)
                masks.append(mask)
            mask_of[place] = place_of[id(mask)]
    stacked = np.stack(masks) if masks else np.empty((0, item_count), np.bool_)
    return Restriction(excluded, mask_of, stacked)


def pairs(rows: Sequence[NDArray[np.int32]]) -> NDArray[np.int32]:
    """Returns int32 [n, 2], (position in `rows`, row) of all rows."""
    lengths = [len(each) for each in rows]
    made = np.zeros((sum(lengths), 2), np.int32)
    np.concatenate(rows, out=made[:, 1])
    if len(rows) > 1:
        made[:, 0] = np.repeat(np.arange(len(rows)), lengths)
    return made
