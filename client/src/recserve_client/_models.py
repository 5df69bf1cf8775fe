"""What the client tells of models and servers: small frozen values, free of protobuf."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


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
    labels: tuple[str, ...] = ()
    """What the version is to callers: "stable" if it answers by default, "canary" if it answers a
    share of users instead; none if it does neither."""
    canary_percent: float = 0.0
    """Share of users that the version answers as canary, from 0 to 100; 0 if it is none."""
    golden_overlap: float | None = None
    """Mean share, from 0 to 1, of the items expected at export that the version answered to its
    golden queries when it was loaded; None if it has none or was not loaded."""
