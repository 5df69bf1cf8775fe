"""Protobuf messages to the values of `_types.py`; pure."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from recserve.v1 import model_service_pb2 as model_pb
from recserve.v1 import recommendation_service_pb2 as recommendation_pb

from ._errors import ServerError
from ._types import (
    FallbackReason,
    HealthStatus,
    ModelState,
    ModelVersion,
    Recommendation,
    RecommendationSource,
    ScoredItem,
)

_SOURCES: Final[Mapping[int, RecommendationSource]] = {
    recommendation_pb.RECOMMENDATION_SOURCE_USER_ID: RecommendationSource.USER_ID,
    recommendation_pb.RECOMMENDATION_SOURCE_HISTORY: RecommendationSource.HISTORY,
    recommendation_pb.RECOMMENDATION_SOURCE_FEATURES: RecommendationSource.FEATURES,
    recommendation_pb.RECOMMENDATION_SOURCE_USER_ID_AND_HISTORY: (
        RecommendationSource.USER_ID_AND_HISTORY
    ),
    recommendation_pb.RECOMMENDATION_SOURCE_POPULARITY: RecommendationSource.POPULARITY,
}
_FALLBACK_REASONS: Final[Mapping[int, FallbackReason | None]] = {
    recommendation_pb.FALLBACK_REASON_UNSPECIFIED: None,
    recommendation_pb.FALLBACK_REASON_UNKNOWN_USER: FallbackReason.UNKNOWN_USER,
    recommendation_pb.FALLBACK_REASON_NOTHING_KNOWN: FallbackReason.NOTHING_KNOWN,
    recommendation_pb.FALLBACK_REASON_NO_QUERY_TOWER: FallbackReason.NO_QUERY_TOWER,
}
_MODEL_STATES: Final[Mapping[int, ModelState]] = {
    model_pb.MODEL_STATE_AVAILABLE: ModelState.AVAILABLE,
    model_pb.MODEL_STATE_LOADING: ModelState.LOADING,
    model_pb.MODEL_STATE_SERVING: ModelState.SERVING,
    model_pb.MODEL_STATE_REFUSED: ModelState.REFUSED,
}
# The numbers of grpc.health.v1, written out so that its stubs are imported only when asked for.
_HEALTH_STATUSES: Final[Mapping[int, HealthStatus]] = {
    0: HealthStatus.UNKNOWN,
    1: HealthStatus.SERVING,
    2: HealthStatus.NOT_SERVING,
    3: HealthStatus.SERVICE_UNKNOWN,
}


def recommendation(user_id: str, response: recommendation_pb.RecommendResponse) -> Recommendation:
    """Converts an answer to `user_id`; the response itself does not name the user."""
    return Recommendation(
        user_id=user_id,
        items=tuple(ScoredItem(item.item_id, item.score, item.title) for item in response.items),
        source=_SOURCES.get(response.source, RecommendationSource.UNKNOWN),
        fallback_reason=_FALLBACK_REASONS.get(response.fallback_reason, FallbackReason.UNKNOWN),
        model_name=response.model_name,
        model_version=response.model_version,
    )


def recommendations(
    request: recommendation_pb.BatchRecommendRequest,
    response: recommendation_pb.BatchRecommendResponse,
) -> tuple[Recommendation, ...]:
    """Converts the answers to the users of `request`, in their order.

    Raises:
        ServerError: there are more or fewer answers than users, so whose they are is unknown.
    """
    asked, answered = len(request.requests), len(response.responses)
    if asked != answered:
        raise ServerError(f"the server gave {answered} answers for {asked} users, must be one each")
    return tuple(
        recommendation(each.user_id, answer)
        for each, answer in zip(request.requests, response.responses, strict=True)
    )


def model_version(model: model_pb.Model) -> ModelVersion:
    """Converts the description of one model version."""
    return ModelVersion(
        name=model.name,
        version=model.version,
        state=_MODEL_STATES.get(model.state, ModelState.UNKNOWN),
        state_message=model.state_message,
        kind=model.kind,
        index=model.index,
        user_count=model.user_count,
        item_count=model.item_count,
        embedding_dimension=model.embedding_dimension,
        dataset=model.dataset,
        test_metrics=dict(model.test_metrics),
        create_time=_datetime(model.create_time) if model.HasField("create_time") else None,
        load_time=_datetime(model.load_time) if model.HasField("load_time") else None,
        max_k=model.max_k,
    )


def health_status(number: int) -> HealthStatus:
    """Converts a grpc.health.v1 serving status."""
    return _HEALTH_STATUSES.get(number, HealthStatus.UNKNOWN)


def _datetime(timestamp: Timestamp) -> datetime:
    return timestamp.ToDatetime(tzinfo=UTC)
