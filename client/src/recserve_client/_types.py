"""What the client returns: small frozen values, free of protobuf."""

from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from enum import StrEnum
from itertools import islice
from typing import Final


class RecommendationSource(StrEnum):
    """What a ranking was made from."""

    USER_ID = "user_id"
    """The user's own embedding."""
    HISTORY = "history"
    """The history of the request or of recorded events; the user is not known by id."""
    FEATURES = "features"
    """Features alone."""
    USER_ID_AND_HISTORY = "user_id_and_history"
    """The user's own embedding, moved by what the user took since training."""
    POPULARITY = "popularity"
    """The popularity of items in the training interactions; not personal."""
    UNKNOWN = "unknown"
    """A source that this version of the client does not know."""


class FallbackReason(StrEnum):
    """Why a ranking is not personal."""

    UNKNOWN_USER = "unknown_user"
    """The model has no embedding for this user id, and nothing else was given."""
    NOTHING_KNOWN = "nothing_known"
    """The model knows neither the user nor any item of the history nor a feature's value."""
    NO_QUERY_TOWER = "no_query_tower"
    """The model takes known user ids only."""
    UNKNOWN = "unknown"
    """A reason that this version of the client does not know."""


AttributeValue = float | tuple[str, ...]
"""A number, or one or more texts."""


@dataclass(frozen=True, slots=True)
class Contribution:
    """How much of an item's score comes from one item of the history."""

    item_id: str
    """Id of the history's item."""
    title: str
    """Its title, which may be empty."""
    score: float
    """What it adds to the score (of the retrieval model, if there are two)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """Why an item is in a ranking."""

    contributions: tuple[Contribution, ...] = ()
    """The history's items that raised the score most, most first; none if the ranking is not
    personal."""
    is_popular: bool = False
    """Whether the item is there because it is popular: there is no history, or none of it speaks
    for the item."""
    is_exact: bool = False
    """Whether the contributions of the whole history, and what is the same for every history, add
    up to the score; otherwise they only approximate what is known of this user."""
    shared_attributes: Mapping[str, AttributeValue] = field(default_factory=dict, hash=False)
    """By attribute, the values that the item shares with the contributing items."""


@dataclass(frozen=True, slots=True)
class ScoredItem:
    """An item and its match with the query."""

    item_id: str
    """Id of the item as it stood in the training interactions."""
    score: float
    """Higher is better; comparable only within one answer. In a popularity ranking it is the
    number of training interactions, among similar items the mean cosine, from -1 to 1."""
    title: str
    """For display; titles are not unique and may be empty."""
    _: KW_ONLY
    retrieval_score: float | None = None
    """Score by the retrieval model, if `score` is by a ranking model; else None."""
    percentile: float | None = None
    """How much of all scores of the model version lies below the retrieval score, from 0 to 100;
    in a popularity ranking, how much of the catalogue is less popular. None unless asked for with
    `ItemView.FULL`, and where the model does not know."""
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict, hash=False)
    """What is known of the item besides; empty unless asked for with `ItemView.FULL`."""
    explanation: Explanation | None = None
    """Why the item is there; None unless asked for with `explain`."""


Record = dict[str, str | float | int | bool | tuple[str, ...] | None]
"""A row of a table, by column."""

_SHOWN: Final = 3


class _Ranking:
    """Items in order."""

    __slots__ = ()
    items: tuple[ScoredItem, ...]
    model_name: str
    model_version: int

    def __iter__(self) -> Iterator[ScoredItem]:
        """Iterates over the items, best first."""
        return iter(self.items)

    def __len__(self) -> int:
        """Counts the items."""
        return len(self.items)

    def __repr__(self) -> str:
        """Tells who it is for, how long it is, who made it, and the first items."""
        first = [f"{each.item_id} {each.title!r} {each.score:g}" for each in islice(self, _SHOWN)]
        rest = ["..."] if len(self) > _SHOWN else []
        items = f"{len(self)} item{'s' * (len(self) != 1)}"
        by = f"{self.model_name} {self.model_version}"
        told = f"{self._subject()}: {items} by {by}: {', '.join(first + rest)}"
        return f"<{type(self).__name__} {told.removesuffix(': ')}>"

    def to_records(self) -> list[Record]:
        """Makes a row of each item, best first: `pandas.DataFrame(ranking.to_records())`.

        Columns are `rank` from 1, `item_id`, `title`, `score`, `retrieval_score`, `percentile`, one
        for each attribute as "attributes.genres", what the ranking is about, `model_name` and
        `model_version`.
        """
        about = {**self._about(), "model_name": self.model_name}
        return [
            {
                "rank": rank,
                "item_id": item.item_id,
                "title": item.title,
                "score": item.score,
                "retrieval_score": item.retrieval_score,
                "percentile": item.percentile,
                **{f"attributes.{name}": value for name, value in item.attributes.items()},
                **about,
                "model_version": self.model_version,
            }
            for rank, item in enumerate(self.items, start=1)
        ]

    def _subject(self) -> str:
        raise NotImplementedError

    def _about(self) -> Record:
        raise NotImplementedError


class _AskersRanking(_Ranking):
    """Items in order for somebody."""

    __slots__ = ()
    user_id: str
    source: RecommendationSource
    fallback_reason: FallbackReason | None

    @property
    def is_personal(self) -> bool:
        """Whether the ranking was made for who asks rather than for everybody."""
        return self.fallback_reason is None and self.source is not RecommendationSource.POPULARITY

    def _subject(self) -> str:
        who = f"for {self.user_id!r}" if self.user_id else "for nobody named"
        why = f", {self.fallback_reason}" if self.fallback_reason is not None else ""
        return f"{who} from {self.source}{why}"

    def _about(self) -> Record:
        return {"user_id": self.user_id, "source": self.source.value}


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Recommendation(_AskersRanking):
    """A ranking made for somebody by one model version; iterates over its items."""

    user_id: str
    """The user that was asked for; empty if only a history or features were given."""
    items: tuple[ScoredItem, ...]
    """Best first, without duplicates."""
    source: RecommendationSource
    """What the ranking was made from."""
    fallback_reason: FallbackReason | None
    """Why the ranking is not personal; None when it is."""
    model_name: str
    """Name of the model that made the ranking."""
    model_version: int
    """Version of the model that made the ranking."""
    is_short: bool = False
    """Whether there are fewer items than wanted, since no more are eligible."""
    unknown_excluded_count: int = 0
    """How many of the excluded items the model does not know."""
    unknown_history_count: int = 0
    """How many of the history's entries the model does not know."""
    is_degraded: bool = False
    """Whether recorded events could not be looked up in time and were not used."""
    _request: bytes = field(default=b"", repr=False, compare=False)
    """What was asked, as a RecommendRequest on the wire; empty if no client made this."""


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class RankedItems(_AskersRanking):
    """Given items, put in order for somebody by one model version; iterates over them."""

    user_id: str
    """The user that was asked for; empty if only a history or features were given."""
    items: tuple[ScoredItem, ...]
    """All items that the model knows, best first."""
    source: RecommendationSource
    """What the order was made from."""
    fallback_reason: FallbackReason | None
    """Why the order is not personal; None when it is."""
    model_name: str
    """Name of the model that made the order."""
    model_version: int
    """Version of the model that made the order."""
    unknown_item_ids: tuple[str, ...] = ()
    """The given items that the model does not know, in the order given."""
    unknown_history_count: int = 0
    """How many of the history's entries the model does not know."""
    is_degraded: bool = False
    """Whether recorded events could not be looked up in time and were not used."""


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class SimilarItems(_Ranking):
    """Items that users like in the same way as the given ones; iterates over them."""

    item_ids: tuple[str, ...]
    """The items that were given."""
    items: tuple[ScoredItem, ...]
    """Most similar first, without the given ones."""
    model_name: str
    """Name of the model that found them."""
    model_version: int
    """Version of the model that found them."""
    is_short: bool = False
    """Whether there are fewer items than wanted, since no more are eligible."""
    unknown_item_count: int = 0
    """How many of the given items the model does not know."""
    unknown_excluded_count: int = 0
    """How many of the excluded items the model does not know."""

    def _subject(self) -> str:
        return f"to {', '.join(map(repr, self.item_ids))}"

    def _about(self) -> Record:
        return {"similar_to": self.item_ids}


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedEvents:
    """What became of recorded events."""

    recorded_count: int
    """Events that are new."""
    duplicate_count: int
    """Events that had been recorded before, or were given twice."""
