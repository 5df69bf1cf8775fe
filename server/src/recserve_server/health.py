"""What grpc.health.v1 says, per service: the truth, and as soon as it has changed."""

import asyncio
from typing import Any, Final, TypeAlias

import grpc
from grpc_health.v1 import health_pb2 as pb
from grpc_health.v1 import health_pb2_grpc as pb_grpc

from recserve.v1 import (
    feedback_service_pb2,
    model_service_pb2,
    recommendation_service_pb2,
)
from recserve_server.events.recorded import RecordedEvents
from recserve_server.models.store import ModelStore

_RECOMMENDATIONS: Final = recommendation_service_pb2.DESCRIPTOR.services_by_name[
    "RecommendationService"
].full_name
_FEEDBACK: Final = feedback_service_pb2.DESCRIPTOR.services_by_name["FeedbackService"].full_name
_MODELS: Final = model_service_pb2.DESCRIPTOR.services_by_name["ModelService"].full_name
SERVICES: Final = (_RECOMMENDATIONS, _FEEDBACK, _MODELS)
"""Full names of the services that are told of, besides "" for readiness of the whole server."""
LIVENESS: Final = "liveness"
"""SERVING from the first moment to the last, also while a model is loaded and calls are drained:
for those who restart what is dead, not for those who send calls."""

_Status: TypeAlias = int
_SERVING: Final = pb.HealthCheckResponse.SERVING
_NOT_SERVING: Final = pb.HealthCheckResponse.NOT_SERVING
_LONGEST_LOOK_S: Final = 1.0


class HealthService(pb_grpc.HealthServicer):
    """Answers Check and Watch.

    grpcio's own writes to watchers while it holds a lock: one who reads nothing keeps everybody
    else from ever hearing of a change, and a server from draining.
    """

    def __init__(self) -> None:
        self._statuses: dict[str, _Status] = {}
        self._watchers: set[asyncio.Event] = set()
        self._is_closed = False

    def set(self, service: str, status: _Status) -> None:
        """Tells a status, to whoever watches, too."""
        if self._statuses.get(service) != status:
            self._statuses[service] = status
            self._wake()

    def close(self) -> None:
        """Ends every watch, once its watcher has been told the last status."""
        self._is_closed = True
        self._wake()

    async def Check(  # noqa: N802  # gRPC's name
        self, request: pb.HealthCheckRequest, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> pb.HealthCheckResponse:
        """Tells a service's status."""
        status = self._statuses.get(request.service)
        if status is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "this service is unknown")
        return pb.HealthCheckResponse(status=status)

    async def Watch(  # noqa: N802  # gRPC's name
        self, request: pb.HealthCheckRequest, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> None:
        """Tells a service's status now and whenever it has changed."""
        told, changed = None, asyncio.Event()
        self._watchers.add(changed)
        try:
            while True:
                changed.clear()
                status = self._statuses.get(request.service, pb.HealthCheckResponse.SERVICE_UNKNOWN)
                if status != told:
                    # What changes meanwhile is told next; a watcher who is slow misses steps.
                    await context.write(pb.HealthCheckResponse(status=status))
                    told = status
                elif self._is_closed:
                    return
                else:
                    await changed.wait()
        finally:
            self._watchers.discard(changed)

    def _wake(self) -> None:
        for watcher in self._watchers:
            watcher.set()


class Health:
    """Keeps a `HealthService` up to date; for one event loop."""

    def __init__(
        self, service: HealthService, store: ModelStore, events: RecordedEvents | None
    ) -> None:
        """Takes who tells of health, and those whose health it is."""
        self.is_serving = False
        """Whether the server as a whole was last said to be SERVING."""
        self.is_draining = False
        self._service, self._store, self._events = service, store, events
        store.on_change(self.tell)

    def tell(self) -> None:
        """Says how things are now."""
        now = self._now()
        self.is_serving = now[""]
        for service, is_serving in (*now.items(), (LIVENESS, True)):
            self._service.set(service, _SERVING if is_serving else _NOT_SERVING)

    def drain(self) -> None:
        """Says NOT_SERVING of everything but liveness from now on."""
        self.is_draining = True
        self.tell()

    def close(self) -> None:
        """Lets watchers go: a server that waits for its calls would wait for them, too."""
        self._service.close()

    async def follow(self) -> None:
        """Says how things are every now and then, until it is cancelled.

        What models do is told at once; the store of events does not tell when it comes and goes.
        """
        while True:
            self.tell()
            await asyncio.sleep(_LONGEST_LOOK_S)

    def _now(self) -> dict[str, bool]:
        if self.is_draining:
            return dict.fromkeys(("", *SERVICES), False)
        is_ready = self._store.is_ready
        return {
            "": is_ready,
            _RECOMMENDATIONS: is_ready,
            _FEEDBACK: self._events is not None and self._events.is_available,
            _MODELS: True,
        }
