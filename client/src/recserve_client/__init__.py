"""Asks a recserve server for recommendations.

with RecommenderClient("localhost:8500") as client:
    recommendation = client.recommend("42", k=5)
    for item in recommendation:
        print(item.item_id, item.title, item.score)
    if not recommendation.is_personal:
        print("popular items:", recommendation.fallback_reason)

Besides, it continues a list, finds similar items, ranks given ones and records events;
`RecommendOptions` and the like tell what each call may be asked. `AsyncRecommenderClient` is the
same for asyncio. Every call has a deadline, two seconds unless told otherwise, and everything
raised on purpose is a `RecommenderError`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from ._errors import (
    CallCancelledError,
    DeadlineExceededError,
    FieldViolation,
    InvalidRequestError,
    ModelRetiredError,
    NotFoundError,
    NotPersonalError,
    OverloadedError,
    PermissionDeniedError,
    RecommenderError,
    ServerError,
    UnauthenticatedError,
    UnavailableError,
    UnsupportedError,
    UnusableClientError,
)
from ._models import HealthStatus, ModelState, ModelVersion
from ._options import RankItemsOptions, RecommendOptions, SimilarItemsOptions
from ._questions import Diversity, Event, EventType, Filter, HistoryEntry, ItemView, Priority
from ._transport.budget import TimeBudget
from ._transport.config import ChannelConfig, Compression, Tls
from ._transport.hooks import Call, CallHook
from ._transport.tokens import BearerToken
from ._types import (
    Contribution,
    Explanation,
    FallbackReason,
    RankedItems,
    Recommendation,
    RecommendationSource,
    RecordedEvents,
    ScoredItem,
    SimilarItems,
)

if TYPE_CHECKING:
    from ._aio import AsyncRecommenderClient
    from ._client import RecommenderClient

__all__ = [
    "AsyncRecommenderClient",
    "BearerToken",
    "Call",
    "CallCancelledError",
    "CallHook",
    "ChannelConfig",
    "Compression",
    "Contribution",
    "DeadlineExceededError",
    "Diversity",
    "Event",
    "EventType",
    "Explanation",
    "FallbackReason",
    "FieldViolation",
    "Filter",
    "HealthStatus",
    "HistoryEntry",
    "InvalidRequestError",
    "ItemView",
    "ModelRetiredError",
    "ModelState",
    "ModelVersion",
    "NotFoundError",
    "NotPersonalError",
    "OverloadedError",
    "PermissionDeniedError",
    "Priority",
    "RankItemsOptions",
    "RankedItems",
    "RecommendOptions",
    "Recommendation",
    "RecommendationSource",
    "RecommenderClient",
    "RecommenderError",
    "RecordedEvents",
    "ScoredItem",
    "ServerError",
    "SimilarItems",
    "SimilarItemsOptions",
    "TimeBudget",
    "Tls",
    "UnauthenticatedError",
    "UnavailableError",
    "UnsupportedError",
    "UnusableClientError",
]

# Generated messages pull in most of protobuf, which takes half as long as all the rest; who only
# handles errors or prints --help does not pay for it.
_LOADED_AT_FIRST_USE = {"AsyncRecommenderClient": "._aio", "RecommenderClient": "._client"}

if not TYPE_CHECKING:  # a type checker would take it to mean that every name exists

    def __getattr__(name: str) -> object:
        """Imports a client class when it is first asked for."""
        if name not in _LOADED_AT_FIRST_USE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value: object = getattr(import_module(_LOADED_AT_FIRST_USE[name], __name__), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """Lists the public names, client classes included."""
    return __all__
