"""How often Python looks for garbage that reference counts do not free."""

import gc
from typing import Final

_ALLOCATIONS: Final = 10_000
"""Objects in excess of those freed between two looks; Python's own 700 are those of a few calls."""


def spare_what_stays() -> None:
    """Has no later look walk through what there is now, and makes looks rare.

    For a process whose imports, or model, stay for good: a call leaves no cycles behind unless it
    fails, and what looks for them is an eighth of what recserve itself takes for it
    (docs/performance.md).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS, *gc.get_threshold()[1:])
