"""What the client returns: small frozen values, free of protobuf."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True)
class ScoredItem:
    """An item and its match with the query."""

    item_id: str
    """Id of the item as it stood in the training interactions."""
    score: float
    """Higher is better; comparable only within one recommendation. In a popularity ranking it is
    the number of training interactions."""
    title: str
    """For display; titles are not unique and may be empty."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recommendation:
    """A ranking made for one user by one model version; iterates over its items."""

    user_id: str
    """The user that was asked for."""
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

    @property
    def is_personal(self) -> bool:
        """Whether the ranking was made for this user rather than for everybody."""
        return self.fallback_reason is None and self.source is not RecommendationSource.POPULARITY

    def __iter__(self) -> Iterator[ScoredItem]:
        """Iterates over the items, best first."""
        return iter(self.items)

    def __len__(self) -> int:
        """Counts the items."""
        return len(self.items)


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
