"""What callers ask, validated: small values, free of protobuf and arrays.

They are tuples: each crosses to the model process, and tuples take a third of the time that
dataclasses do to be pickled, and to be looked up in a cache.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple, TypeAlias

_FEWEST_CANDIDATES: Final = 200


class HistoryEntry(NamedTuple):
    """An item that a user took."""

    item_id: str
    rating: float = math.nan
    """On the scale of the training interactions; NaN if there is none."""


class Match(IntEnum):
    """How many of a filter's values an item must have."""

    ANY = 0
    ALL = 1
    NONE = 2


class TextFilter(NamedTuple):
    """A condition on an attribute of texts or lists of texts."""

    attribute: str
    match: Match
    values: frozenset[str]


class RangeFilter(NamedTuple):
    """A condition on an attribute of numbers: least <= number <= greatest."""

    attribute: str
    least: float = -math.inf
    greatest: float = math.inf


Filter: TypeAlias = TextFilter | RangeFilter


class Selection(NamedTuple):
    """Which items may come back."""

    excluded_item_ids: tuple[str, ...] = ()
    """As the request has them: repeats and unknown ones included."""
    allowed_item_ids: frozenset[str] | None = None
    """None for all."""
    filters: frozenset[Filter] = frozenset()


class Diversity(NamedTuple):
    """How a list is made more varied."""

    weight: float = 0.0
    """Lambda of maximal marginal relevance, 0 to 1."""
    caps: tuple[tuple[str, int], ...] = ()
    """Attributes, each once, and how many items may have the same value."""

    @property
    def is_wanted(self) -> bool:
        """Whether it changes anything."""
        return bool(self.weight or self.caps)

    def candidates(self, k: int) -> int:
        """Returns how many items are chosen from."""
        return max(_FEWEST_CANDIDATES, 5 * k)


class Telling(NamedTuple):
    """What is told of each item besides id, title and score."""

    full: bool = False
    """Attributes and percentile."""
    explain: bool = False


class Options(NamedTuple):
    """All that a plain question by user id does not have."""

    history: tuple[HistoryEntry, ...] = ()
    """What the user took, oldest first, each item once, recorded events included."""
    features: tuple[tuple[str, float | str], ...] = ()
    """What is known of the user, by name."""
    seen_item_ids: tuple[str, ...] = ()
    """Items of recorded events, which `include_seen` lets come back."""
    selection: Selection = Selection()
    strict: bool = False
    diversity: Diversity = Diversity()
    telling: Telling = Telling()
    is_degraded: bool = False
    """Whether recorded events could not be looked up."""


class Query(NamedTuple):
    """A validated question for the catalogue in order."""

    user_id: str
    """Empty if the caller has none."""
    k: int
    """Items wanted, 1 or more."""
    include_seen: bool = False
    """Whether what the user has seen may come back."""
    options: Options | None = None
    """None for a plain question, the most frequent, which costs least."""


class RankQuery(NamedTuple):
    """A validated question for given items in order."""

    user_id: str
    item_ids: tuple[str, ...]
    """Different ones, at least one."""
    options: Options = Options()
    """`selection` and `diversity` are not looked at."""


class SimilarQuery(NamedTuple):
    """A validated question for items like the given ones."""

    item_ids: tuple[str, ...]
    """Different ones, at least one."""
    k: int
    selection: Selection = Selection()
    telling: Telling = Telling()


Question: TypeAlias = Query | RankQuery | SimilarQuery


class Attribute(NamedTuple):
    """One column of a model's item or user table that requests may name."""

    name: str
    is_number: bool
    """Else it holds texts or lists of texts."""


@dataclass(frozen=True, slots=True)
class Schema:
    """What requests to one model version may name."""

    item_attributes: tuple[Attribute, ...] = ()
    """By name; all but id, title and count."""
    user_features: tuple[Attribute, ...] = ()
    """By name: what the model's query tower reads of users."""

    def item_attribute(self, name: str) -> Attribute | None:
        """Returns the item attribute of that name."""
        return _by_name(self.item_attributes, name)

    def user_feature(self, name: str) -> Attribute | None:
        """Returns the user feature of that name."""
        return _by_name(self.user_features, name)


def _by_name(attributes: Sequence[Attribute], name: str) -> Attribute | None:
    return next((each for each in attributes if each.name == name), None)
