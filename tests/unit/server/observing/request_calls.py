"""Calls that have ended, for what observes them."""

from recserve.v1 import recommendation_service_pb2 as pb
from recserve_server.batching.terms import Timing
from recserve_server.calls.call import Call, Ended

SERVICE = "/recserve.v1.RecommendationService"


def call(method: str = "Recommend", request_id: str = "r1", timing: Timing | None = None) -> Call:
    return Call(f"{SERVICE}/{method}", request_id, caller="web", timing=timing or Timing())


def recommended(request: pb.RecommendRequest, *item_ids: str) -> Ended:
    """A Recommend call that was answered by version 3 of films."""
    response = pb.RecommendResponse(
        items=[pb.ScoredItem(item_id=item_id, score=0.5, title="A film") for item_id in item_ids],
        source=pb.RECOMMENDATION_SOURCE_USER_ID,
        model_name="films",
        model_version=3,
    )
    return Ended(duration_s=0.0123, request=request, response=response.SerializeToString())
