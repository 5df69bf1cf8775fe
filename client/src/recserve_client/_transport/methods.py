"""Every call that there is, as gRPC knows it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from recserve.v1 import feedback_service_pb2 as feedback_pb
from recserve.v1 import model_service_pb2 as model_pb
from recserve.v1 import recommendation_service_pb2 as recommendation_pb

Request = TypeVar("Request")
Response = TypeVar("Response")


@dataclass(frozen=True, eq=False, slots=True)
class Method(Generic[Request, Response]):
    """One method of a service."""

    service: str
    """Full name of the service."""
    name: str
    """Name of the method in it."""
    encode: Callable[[Request], bytes]
    """Request to bytes."""
    decode: Callable[[bytes], Response]
    """Bytes to response."""
    is_read: bool = True
    """Whether it changes nothing, so that sending it twice at a time only costs."""

    @property
    def path(self) -> str:
        """As it stands on the wire."""
        return f"/{self.service}/{self.name}"


_RECOMMENDATIONS: Final = "recserve.v1.RecommendationService"
_MODELS: Final = "recserve.v1.ModelService"

RECOMMEND: Final = Method(
    _RECOMMENDATIONS,
    "Recommend",
    recommendation_pb.RecommendRequest.SerializeToString,
    recommendation_pb.RecommendResponse.FromString,
)
BATCH_RECOMMEND: Final = Method(
    _RECOMMENDATIONS,
    "BatchRecommend",
    recommendation_pb.BatchRecommendRequest.SerializeToString,
    recommendation_pb.BatchRecommendResponse.FromString,
)
FIND_SIMILAR_ITEMS: Final = Method(
    _RECOMMENDATIONS,
    "FindSimilarItems",
    recommendation_pb.FindSimilarItemsRequest.SerializeToString,
    recommendation_pb.FindSimilarItemsResponse.FromString,
)
RANK_ITEMS: Final = Method(
    _RECOMMENDATIONS,
    "RankItems",
    recommendation_pb.RankItemsRequest.SerializeToString,
    recommendation_pb.RankItemsResponse.FromString,
)
RECORD_EVENTS: Final = Method(
    "recserve.v1.FeedbackService",
    "RecordEvents",
    feedback_pb.RecordEventsRequest.SerializeToString,
    feedback_pb.RecordEventsResponse.FromString,
    is_read=False,
)
GET_MODEL: Final = Method(
    _MODELS,
    "GetModel",
    model_pb.GetModelRequest.SerializeToString,
    model_pb.GetModelResponse.FromString,
)
LIST_MODELS: Final = Method(
    _MODELS,
    "ListModels",
    model_pb.ListModelsRequest.SerializeToString,
    model_pb.ListModelsResponse.FromString,
)
