import contextlib
from collections.abc import Callable, Iterator
from concurrent import futures

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from recserve.v1 import recommendation_service_pb2 as pb
from recserve.v1 import recommendation_service_pb2_grpc as pb_grpc


class Replica(pb_grpc.RecommendationServiceServicer):
    """One of several servers; counts its calls, and can die and come back on its port."""

    def __init__(self, credentials: grpc.ServerCredentials | None = None) -> None:
        self.calls: list[grpc.ServicerContext] = []
        self.health = health.HealthServicer(experimental_non_blocking=False)
        self.port = 0
        self._credentials = credentials
        self._server: grpc.Server | None = None

    def Recommend(self, request, context):  # noqa: N802
        self.calls.append(context)
        return pb.RecommendResponse(
            source=pb.RECOMMENDATION_SOURCE_USER_ID, model_name="films", model_version=3
        )

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    def set_health(self, is_serving: bool) -> None:
        status = health_pb2.HealthCheckResponse.ServingStatus
        value = status.SERVING if is_serving else status.NOT_SERVING
        self.health.set("recserve.v1.RecommendationService", value)

    def start(self) -> None:
        server = grpc.server(futures.ThreadPoolExecutor(16), options=[("grpc.so_reuseport", 0)])
        pb_grpc.add_RecommendationServiceServicer_to_server(self, server)
        health_pb2_grpc.add_HealthServicer_to_server(self.health, server)
        address = f"127.0.0.1:{self.port}"
        if self._credentials is None:
            self.port = server.add_insecure_port(address)
        else:
            self.port = server.add_secure_port(address, self._credentials)
        self.set_health(True)
        server.start()
        self._server = server

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop(None).wait()
            self._server = None


@pytest.fixture
def start_replica() -> Iterator[Callable[..., Replica]]:
    with contextlib.ExitStack() as stack:

        def start(credentials: grpc.ServerCredentials | None = None) -> Replica:
            replica = Replica(credentials)
            replica.start()
            stack.callback(replica.stop)
            return replica

        yield start
