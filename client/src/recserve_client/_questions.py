"""What the client is asked with: small frozen values, free of protobuf."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, Literal, Self

from ._errors import refusal

FilterKind = Literal["any", "all", "none", "range"]

_CONSTRUCTORS: Final[Mapping[FilterKind, str]] = {
    "any": "any_of",
    "all": "all_of",
    "none": "none_of",
    "range": "between",
}


class ItemView(StrEnum):
    """How much to tell of each item."""

    BASIC = "basic"
    """Id, title and scores."""
    FULL = "full"
    """Besides, attributes and the percentile of the score."""


class Priority(StrEnum):
    """Whom an overloaded server answers first."""

    INTERACTIVE = "interactive"
    """Somebody waits for the answer."""
    BATCH = "batch"
    """Nobody does: it takes the room that interactive calls leave, and loses its place to them when
    the queue is full."""


class EventType(StrEnum):
    """What a user did with an item."""

    VIEW = "view"
    """Saw it: excluded from now on, says nothing on taste."""
    CLICK = "click"
    """Opened it."""
    LIKE = "like"
    """Liked, bought or finished it."""
    RATING = "rating"
    """Rated it."""


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """An item that a user took."""

    item_id: str
    """Id of the item; 1 to 128 bytes of UTF-8."""
    rating: float | None = None
    """Strength on the scale of the training interactions' ratings; None means that there is none.
    Models that look at no ratings pass it over."""
    time: datetime | None = None
    """When it was taken, with a time zone; only compared with the other entries'."""


@dataclass(frozen=True, repr=False, slots=True)
class Filter:
    """A condition on one attribute of items; make it with `any_of` and the like.

    An item of which the attribute is not known fulfils only `none_of`.
    """

    attribute: str
    """Name of the attribute in the model's item table."""
    kind: FilterKind
    """Which condition it is."""
    values: tuple[str, ...] = ()
    """What "any", "all" and "none" compare with; case matters."""
    minimum: float | None = None
    """Least number of a "range"; None means any."""
    maximum: float | None = None
    """Greatest number of a "range"; None means any."""

    @classmethod
    def any_of(cls, attribute: str, values: Iterable[str]) -> Self:
        """Asks for items that have at least one of `values`, of which 1 to 100 are allowed.

        Raises:
            InvalidRequestError: `values` is one str, which would be a value per character.
        """
        return cls(attribute, "any", _texts(attribute, values))

    @classmethod
    def all_of(cls, attribute: str, values: Iterable[str]) -> Self:
        """Asks for items that have all of `values`; otherwise as `any_of`."""
        return cls(attribute, "all", _texts(attribute, values))

    @classmethod
    def none_of(cls, attribute: str, values: Iterable[str]) -> Self:
        """Asks for items that have none of `values`; otherwise as `any_of`."""
        return cls(attribute, "none", _texts(attribute, values))

    @classmethod
    def between(
        cls, attribute: str, minimum: float | None = None, maximum: float | None = None
    ) -> Self:
        """Asks for items whose number lies in the range, both ends included.

        Args:
            attribute: Name of an attribute that holds numbers.
            minimum: Least number; None means any.
            maximum: Greatest number; None means any. At least one end must be given.
        """
        return cls(attribute, "range", minimum=minimum, maximum=maximum)

    def __repr__(self) -> str:
        """Spells the call that makes an equal filter."""
        arguments: tuple[object, ...] = (self.attribute, self.values)
        if self.kind == "range":
            arguments = (self.attribute, self.minimum, self.maximum)
        return f"Filter.{_CONSTRUCTORS[self.kind]}({', '.join(map(repr, arguments))})"


@dataclass(frozen=True, slots=True)
class Diversity:
    """How to make a list more varied than the model's own."""

    weight: float = 0.0
    """Weight of variety against score, from 0 (the model's own order) to 1."""
    caps: Mapping[str, int] = field(default_factory=dict, hash=False)
    """By name of an attribute of texts, at most how many items may have the same value of it,
    1 or more; at most 8 attributes."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a user did with an item."""

    user_id: str
    """The user, known to the model or not; 1 to 128 bytes of UTF-8."""
    item_id: str
    """The item, known to the model or not; 1 to 128 bytes of UTF-8."""
    type: EventType
    """What the user did."""
    _: KW_ONLY
    rating: float | None = None
    """The rating, on the scale of the training interactions; only with `EventType.RATING`, and
    required there."""
    time: datetime | None = None
    """When it happened, with a time zone; None means now."""
    event_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Names the event for good, so that it counts once however often it is sent; random unless
    given, 1 to 128 bytes of UTF-8."""


def _texts(attribute: str, values: object) -> tuple[str, ...]:
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise refusal(f"filter on {attribute}", values, "a sequence of str")
    return tuple(values)
