"""Protobuf messages to the values of `_types.py`; pure."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from recserve.v1 import feedback_service_pb2 as feedback_pb
from recserve.v1 import model_service_pb2 as model_pb
from recserve.v1 import recommendation_service_pb2 as recommendation_pb

from ._errors import ServerError
from ._models import HealthStatus, ModelState, ModelVersion
from ._types import (
    AttributeValue,
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


def recommendation(
    request: recommendation_pb.RecommendRequest, response: recommendation_pb.RecommendResponse
) -> Recommendation:
    """Converts the answer to `request`, which is kept for asking for more."""
    return Recommendation(
        user_id=request.user_id,
        items=_items(response.items),
        source=_SOURCES.get(response.source, RecommendationSource.UNKNOWN),
        fallback_reason=_FALLBACK_REASONS.get(response.fallback_reason, FallbackReason.UNKNOWN),
        model_name=response.model_name,
        model_version=response.model_version,
        is_short=response.is_short,
        unknown_excluded_count=response.unknown_excluded_count,
        unknown_history_count=response.unknown_history_count,
        is_degraded=response.is_degraded,
        _request=request.SerializeToString(),
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
        recommendation(each, answer)
        for each, answer in zip(request.requests, response.responses, strict=True)
    )


def ranked_items(
    request: recommendation_pb.RankItemsRequest, response: recommendation_pb.RankItemsResponse
) -> RankedItems:
    """Converts the answer to `request`."""
    return RankedItems(
        user_id=request.user_id,
        items=_items(response.items),
        source=_SOURCES.get(response.source, RecommendationSource.UNKNOWN),
        fallback_reason=_FALLBACK_REASONS.get(response.fallback_reason, FallbackReason.UNKNOWN),
        model_name=response.model_name,
        model_version=response.model_version,
        unknown_item_ids=tuple(response.unknown_item_ids),
        unknown_history_count=response.unknown_history_count,
        is_degraded=response.is_degraded,
    )


def similar_items(
    request: recommendation_pb.FindSimilarItemsRequest,
    response: recommendation_pb.FindSimilarItemsResponse,
) -> SimilarItems:
    """Converts the answer to `request`."""
    return SimilarItems(
        item_ids=tuple(request.item_ids),
        items=_items(response.items),
        model_name=response.model_name,
        model_version=response.model_version,
        is_short=response.is_short,
        unknown_item_count=response.unknown_item_count,
        unknown_excluded_count=response.unknown_excluded_count,
    )


def recorded_events(response: feedback_pb.RecordEventsResponse) -> RecordedEvents:
    """Converts what became of recorded events."""
    return RecordedEvents(
        recorded_count=response.recorded_count, duplicate_count=response.duplicate_count
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
        labels=tuple(model.labels),
        canary_percent=model.canary_percent,
        golden_overlap=model.golden_overlap if model.HasField("golden_overlap") else None,
    )


def health_status(number: int) -> HealthStatus:
    """Converts a grpc.health.v1 serving status."""
    return _HEALTH_STATUSES.get(number, HealthStatus.UNKNOWN)


def _items(items: Iterable[recommendation_pb.ScoredItem]) -> tuple[ScoredItem, ...]:
    return tuple(map(_item, items))


def _item(item: recommendation_pb.ScoredItem) -> ScoredItem:
    return ScoredItem(
        item.item_id,
        item.score,
        item.title,
        retrieval_score=item.retrieval_score if item.HasField("retrieval_score") else None,
        percentile=item.percentile if item.HasField("percentile") else None,
        # Asked for first: most answers have none, and this runs for each item of each answer.
        attributes=_attributes(item.attributes) if item.attributes else {},
        explanation=_explanation(item.explanation) if item.HasField("explanation") else None,
    )


def _explanation(explanation: recommendation_pb.Explanation) -> Explanation:
    return Explanation(
        contributions=tuple(
            Contribution(each.item_id, each.title, each.score) for each in explanation.contributions
        ),
        is_popular=explanation.is_popular,
        is_exact=explanation.is_exact,
        shared_attributes=_attributes(explanation.shared_attributes),
    )


def _attributes(
    attributes: Iterable[recommendation_pb.Attribute],
) -> Mapping[str, AttributeValue]:
    return {
        each.name: each.number if each.HasField("number") else tuple(each.texts)
        for each in attributes
    }


def _datetime(timestamp: Timestamp) -> datetime:
    return timestamp.ToDatetime(tzinfo=UTC)
