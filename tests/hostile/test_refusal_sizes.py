"""Refusals of what is as long as it may be sent: they have to fit into the trailers."""

from collections.abc import Iterator

import grpc
import pytest
from refusals import check_refusal
from server_process import ServerProcess

from recserve.v1 import feedback_service_pb2 as feedback
from recserve.v1 import model_service_pb2 as models
from recserve.v1 import recommendation_service_pb2 as pb
from recserve.v1.feedback_service_pb2_grpc import FeedbackServiceStub
from recserve.v1.model_service_pb2_grpc import ModelServiceStub
from recserve.v1.recommendation_service_pb2_grpc import RecommendationServiceStub

pytestmark = pytest.mark.usefixtures("unharmed")
LONG, WIDE = "x" * 100_000, "\U0001f4a3" * 32
"""Far too long, and as long as an id may be in letters that take most room."""
ATTRIBUTES = [pb.Filter(attribute=f"{WIDE}{n}", any=pb.TextValues(values=["x"])) for n in range(16)]


@pytest.fixture(scope="module")
def channel(attacked: ServerProcess) -> Iterator[grpc.Channel]:
    # A client that takes long trailers sees what others would only see as RESOURCE_EXHAUSTED.
    sizes = ("grpc.max_metadata_size", "grpc.absolute_max_metadata_size")
    options = [(name, 1 << 24) for name in sizes]
    with grpc.insecure_channel(attacked.address, options) as connected:
        yield connected


def recommend(**fields: object) -> pb.RecommendRequest:
    return pb.RecommendRequest(user_id="u0", **fields)


REQUESTS = {
    "user": pb.RecommendRequest(user_id=LONG),
    "model": recommend(model=LONG),
    "model not there": recommend(model=WIDE),
    "feature": recommend(features=[pb.UserFeature(name=LONG, number=1)]),
    "features": recommend(features=[pb.UserFeature(name=WIDE, text="x")] * 64),
    "filter": recommend(filters=[pb.Filter(attribute=LONG, any=pb.TextValues(values=["x"]))]),
    "filters": recommend(filters=ATTRIBUTES),
    "cap": recommend(diversity=pb.Diversity(caps=[pb.AttributeCap(attribute=LONG, max_count=1)])),
    "excluded": recommend(excluded_item_ids=[LONG[:900]] * 1000),
    "history": recommend(history=[pb.HistoryEntry(item_id=LONG[:900], rating=1)] * 1000),
    "control characters": recommend(excluded_item_ids=["\x01"] * 1000),
    "batch": pb.BatchRecommendRequest(
        requests=[recommend(features=[pb.UserFeature(name=LONG[:1000])])] * 256
    ),
    "similar": pb.FindSimilarItemsRequest(item_ids=[WIDE] * 100),
    "similar filters": pb.FindSimilarItemsRequest(item_ids=["i0"], filters=ATTRIBUTES),
    "repeated long items": pb.RankItemsRequest(user_id="u0", item_ids=[LONG] * 2),
    "repeated items": pb.RankItemsRequest(user_id="u0", item_ids=[WIDE] * 1000),
    "events": feedback.RecordEventsRequest(
        events=[feedback.Event(event_id=WIDE, user_id=WIDE, item_id="\x01", type=99)] * 1000
    ),
    "page token": models.ListModelsRequest(page_token=LONG),
    "name": models.GetModelRequest(name=WIDE),
}


def call_of(channel: grpc.Channel, request: object) -> grpc.UnaryUnaryMultiCallable:
    stub = RecommendationServiceStub(channel)
    return {
        pb.RecommendRequest: stub.Recommend,
        pb.BatchRecommendRequest: stub.BatchRecommend,
        pb.FindSimilarItemsRequest: stub.FindSimilarItems,
        pb.RankItemsRequest: stub.RankItems,
        feedback.RecordEventsRequest: FeedbackServiceStub(channel).RecordEvents,
        models.GetModelRequest: ModelServiceStub(channel).GetModel,
        models.ListModelsRequest: ModelServiceStub(channel).ListModels,
    }[type(request)]


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS.keys())
def test_a_refusal_fits_into_the_trailers(channel: grpc.Channel, request_: object) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        call_of(channel, request_)(request_, timeout=20)

    check_refusal(caught.value)
