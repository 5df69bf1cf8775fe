"""What the client returns: small frozen values, free of protobuf."""

from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from enum import StrEnum


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


class ModelState(StrEnum):
    """Whether a model version answers requests."""

    AVAILABLE = "available"
    """Present on the server's disk, not loaded."""
    LOADING = "loading"
    """Being verified, loaded or warmed up."""
    SERVING = "serving"
    """Loaded and answering."""
    REFUSED = "refused"
    """Failed verification, loading or warm-up; `ModelVersion.state_message` says why."""
    UNKNOWN = "unknown"
    """A state that this version of the client does not know."""


class HealthStatus(StrEnum):
    """Whether a server, or one service of it, accepts calls."""

    SERVING = "serving"
    """Calls are answered."""
    NOT_SERVING = "not_serving"
    """The server is up, but starting, draining or without a model."""
    SERVICE_UNKNOWN = "service_unknown"
    """The server has no service of this name."""
    UNKNOWN = "unknown"
    """The server does not know, or said something that this version of the client does not."""


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


class _Ranking:
    """Items in order."""

    __slots__ = ()
    items: tuple[ScoredItem, ...]

    def __iter__(self) -> Iterator[ScoredItem]:
        """Iterates over the items, best first."""
        return iter(self.items)

    def __len__(self) -> int:
        """Counts the items."""
        return len(self.items)


class _AskersRanking(_Ranking):
    """Items in order for somebody."""

    __slots__ = ()
    source: RecommendationSource
    fallback_reason: FallbackReason | None

    @property
    def is_personal(self) -> bool:
        """Whether the ranking was made for who asks rather than for everybody."""
        return self.fallback_reason is None and self.source is not RecommendationSource.POPULARITY


@dataclass(frozen=True, kw_only=True, slots=True)
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


@dataclass(frozen=True, kw_only=True, slots=True)
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


@dataclass(frozen=True, kw_only=True, slots=True)
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


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedEvents:
    """What became of recorded events."""

    recorded_count: int
    """Events that are new."""
    duplicate_count: int
    """Events that had been recorded before, or were given twice."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelVersion:
    """One version of a model as the server sees it."""

    name: str
    """Name of the model."""
    version: int
    """Version of the model; newer is higher."""
    state: ModelState
    """Whether the version answers requests."""
    state_message: str
    """Why the version was refused, in one line; empty otherwise."""
    kind: str
    """Family of the model, e.g. "collaborative"."""
    index: str
    """Kind of its item index, e.g. "exact"."""
    user_count: int
    """Users with an embedding."""
    item_count: int
    """Items in the catalogue."""
    embedding_dimension: int
    """Length of the embeddings."""
    dataset: str
    """Dataset that the model was trained on."""
    test_metrics: Mapping[str, float] = field(hash=False)
    """Metrics on the test split, e.g. "recall@10"."""
    create_time: datetime | None
    """When the version was exported, in UTC; None if the server does not know."""
    load_time: datetime | None
    """When the server finished loading the version, in UTC; None if it did not."""
    max_k: int
    """Largest `k` that the server accepts for this model."""
