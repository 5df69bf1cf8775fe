"""A real gRPC server on a free port, whose answers the test decides; and both clients."""

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from recserve.v1 import feedback_service_pb2 as feedback_pb
from recserve.v1 import feedback_service_pb2_grpc as feedback_grpc
from recserve.v1 import model_service_pb2 as model_pb
from recserve.v1 import model_service_pb2_grpc as model_grpc
from recserve.v1 import recommendation_service_pb2 as recommendation_pb
from recserve.v1 import recommendation_service_pb2_grpc as recommendation_grpc
from recserve_client import AsyncRecommenderClient, RecommenderClient

sys.path.append(str(Path(__file__).parent))  # for pem.py

# A busy machine must not make a test fail; tests of the default deadline say so.
PATIENT = {"timeout_s": 30.0}

Handler = Callable[[Any, grpc.ServicerContext], Any]


class Server(
    recommendation_grpc.RecommendationServiceServicer,
    model_grpc.ModelServiceServicer,
    feedback_grpc.FeedbackServiceServicer,
):
    """Remembers what it was asked; answers as its handlers say."""

    def __init__(self) -> None:
        self.target = ""
        self.health = health.HealthServicer(experimental_non_blocking=False)
        self.requests: list[Message] = []
        self.times_remaining_s: list[float] = []
        self.arrived = threading.Event()
        self.released = threading.Event()
        self.handle_recommend: Handler = lambda request, context: personal_response()
        self.handle_batch_recommend: Handler = self._each_as_by_recommend
        self.handle_find_similar_items: Handler = lambda request, context: similar_response()
        self.handle_rank_items: Handler = lambda request, context: ranked_response()
        self.handle_record_events: Handler = lambda request, context: (
            feedback_pb.RecordEventsResponse(recorded_count=len(request.events))
        )
        self.handle_get_model: Handler = lambda request, context: model_pb.GetModelResponse(
            model=model_pb.Model(name=request.name or "films", version=request.version or 3)
        )
        self.handle_list_models: Handler = lambda request, context: model_pb.ListModelsResponse()

    def Recommend(self, request, context):  # noqa: N802
        return self._answer(self.handle_recommend, request, context)

    def BatchRecommend(self, request, context):  # noqa: N802
        return self._answer(self.handle_batch_recommend, request, context)

    def FindSimilarItems(self, request, context):  # noqa: N802
        return self._answer(self.handle_find_similar_items, request, context)

    def RankItems(self, request, context):  # noqa: N802
        return self._answer(self.handle_rank_items, request, context)

    def RecordEvents(self, request, context):  # noqa: N802
        return self._answer(self.handle_record_events, request, context)

    def GetModel(self, request, context):  # noqa: N802
        return self._answer(self.handle_get_model, request, context)

    def ListModels(self, request, context):  # noqa: N802
        return self._answer(self.handle_list_models, request, context)

    def _answer(self, handler, request, context):
        self.requests.append(request)
        self.times_remaining_s.append(context.time_remaining())
        self.arrived.set()
        return handler(request, context)

    def _each_as_by_recommend(self, batch, context):
        responses = [self.handle_recommend(request, context) for request in batch.requests]
        return recommendation_pb.BatchRecommendResponse(responses=responses)

    def set_health(self, service: str, status: str) -> None:
        self.health.set(service, health_pb2.HealthCheckResponse.ServingStatus.Value(status))

    def fail(
        self,
        code: grpc.StatusCode,
        message: str = "",
        *details: Message,
        trailing: tuple[tuple[str, str | bytes], ...] = (),
        initial: tuple[tuple[str, str], ...] = (),
    ) -> None:
        """Makes all calls but those on models fail, with google.rpc details if any are given."""

        def handler(request, context):
            if initial:
                context.send_initial_metadata(initial)
            if details:
                context.abort_with_status(_status(code, message, details))
            context.set_trailing_metadata(trailing)
            context.abort(code, message)

        self.handle_recommend = self.handle_find_similar_items = handler
        self.handle_rank_items = self.handle_record_events = handler

    def fail_times(self, count: int, code: grpc.StatusCode) -> None:
        """Makes Recommend, BatchRecommend and RecordEvents fail `count` times, then answer."""

        def after_failures(answer: Handler) -> Handler:
            def handler(request, context):
                if len(self.requests) <= count:
                    context.abort(code, "not yet")
                return answer(request, context)

            return handler

        self.handle_recommend = after_failures(self.handle_recommend)
        self.handle_record_events = after_failures(self.handle_record_events)

    def block(self) -> None:
        """Makes Recommend and BatchRecommend wait until the test ends or sets `released`."""

        def handler(request, context):
            self.released.wait(60)
            return personal_response()

        self.handle_recommend = handler


def _status(code, message, details):
    packed = []
    for detail in details:
        packed.append(any_pb2.Any())
        packed[-1].Pack(detail)
    return rpc_status.to_status(
        status_pb2.Status(code=code.value[0], message=message, details=packed)
    )


def personal_response() -> recommendation_pb.RecommendResponse:
    return recommendation_pb.RecommendResponse(
        items=[
            recommendation_pb.ScoredItem(item_id="50", score=4.5, title="Star Wars (1977)"),
            recommendation_pb.ScoredItem(item_id="172", score=4.25, title="Amélie"),
        ],
        source=recommendation_pb.RECOMMENDATION_SOURCE_USER_ID,
        model_name="films",
        model_version=3,
    )


def similar_response() -> recommendation_pb.FindSimilarItemsResponse:
    return recommendation_pb.FindSimilarItemsResponse(
        items=[recommendation_pb.ScoredItem(item_id="172", score=0.75, title="Amélie")],
        model_name="films",
        model_version=3,
    )


def ranked_response() -> recommendation_pb.RankItemsResponse:
    return recommendation_pb.RankItemsResponse(
        items=[recommendation_pb.ScoredItem(item_id="172", score=2.5, title="Amélie")],
        source=recommendation_pb.RECOMMENDATION_SOURCE_USER_ID,
        model_name="films",
        model_version=3,
    )


@pytest.fixture
def server() -> Iterator[Server]:
    servicer = Server()
    with futures.ThreadPoolExecutor(max_workers=16) as pool:
        running = grpc.server(pool)
        recommendation_grpc.add_RecommendationServiceServicer_to_server(servicer, running)
        model_grpc.add_ModelServiceServicer_to_server(servicer, running)
        feedback_grpc.add_FeedbackServiceServicer_to_server(servicer, running)
        health_pb2_grpc.add_HealthServicer_to_server(servicer.health, running)
        servicer.target = f"127.0.0.1:{running.add_insecure_port('127.0.0.1:0')}"
        running.start()
        yield servicer
        servicer.released.set()
        running.stop(None).wait()


@pytest.fixture(params=["blocking", "asyncio"])
def ask(request: pytest.FixtureRequest, server: Server) -> Callable[..., Any]:
    """Calls one method of a fresh client of either kind: `ask("recommend", "42", k=3)`."""

    def blocking(method: str, *args, client_options=None, **kwargs):
        with RecommenderClient(server.target, **(client_options or PATIENT)) as client:
            return getattr(client, method)(*args, **kwargs)

    async def call(method: str, *args, client_options=None, **kwargs):
        async with AsyncRecommenderClient(server.target, **(client_options or PATIENT)) as client:
            return await getattr(client, method)(*args, **kwargs)

    def through_asyncio(method: str, *args, **kwargs):
        return asyncio.run(call(method, *args, **kwargs))

    return blocking if request.param == "blocking" else through_asyncio


@pytest.fixture
def popular_response() -> recommendation_pb.RecommendResponse:
    return recommendation_pb.RecommendResponse(
        items=[recommendation_pb.ScoredItem(item_id="50", score=583, title="Star Wars (1977)")],
        source=recommendation_pb.RECOMMENDATION_SOURCE_POPULARITY,
        fallback_reason=recommendation_pb.FALLBACK_REASON_UNKNOWN_USER,
        model_name="films",
        model_version=3,
    )
