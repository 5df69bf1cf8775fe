"""Events and what they tell of a user; pure."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from recserve_server.query import HistoryEntry


class EventKind(IntEnum):
    """What a user did; numbered as in `recserve.v1.EventType`."""

    VIEW = 1
    CLICK = 2
    LIKE = 3
    RATING = 4


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a user did with an item."""

    event_id: str
    user_id: str
    item_id: str
    kind: EventKind
    rating: float
    """NaN unless it is a rating."""
    time_s: float
    """Unix time."""


@dataclass(frozen=True, slots=True)
class UserEvents:
    """What a user's events mean for an answer."""

    seen_item_ids: tuple[str, ...] = ()
    """All items, each once."""
    history: tuple[HistoryEntry, ...] = ()
    """Items that were more than viewed, oldest first, each once."""

    @classmethod
    def of(cls, events: Iterable[Event]) -> "UserEvents":
        """Sums up one user's events, oldest first.

        An item stands where it was last dealt with, and has the rating that it got last; a click
        after a rating does not take the rating away.
        """
        seen: dict[str, None] = {}
        ratings: dict[str, float] = {}
        for each in events:
            seen[each.item_id] = None
            if each.kind is EventKind.VIEW:
                continue
            before = ratings.pop(each.item_id, math.nan)
            ratings[each.item_id] = before if math.isnan(each.rating) else each.rating
        history = tuple(HistoryEntry(item_id, rating) for item_id, rating in ratings.items())
        return cls(tuple(seen), history)


NO_EVENTS = UserEvents()
"""Of a user of whom nothing was recorded."""
