"""FeedbackService: validate, record."""

import time
from collections.abc import Callable
from typing import Any

import grpc

from recserve.v1 import feedback_service_pb2 as pb
from recserve.v1 import feedback_service_pb2_grpc as pb_grpc
from recserve_server.config import Limits
from recserve_server.errors import EventsDisabled
from recserve_server.events.recorded import RecordedEvents
from recserve_server.validation.events import parse_record_events


class FeedbackService(pb_grpc.FeedbackServiceServicer):
    """Takes in what users do."""

    def __init__(
        self,
        events: RecordedEvents | None,
        limits: Limits,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Takes where events go, None if they go nowhere, and a clock of Unix time."""
        self._events, self._limits, self._clock = events, limits, clock

    async def RecordEvents(
        self, request: pb.RecordEventsRequest, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> pb.RecordEventsResponse:
        """Records events."""
        events = parse_record_events(request, self._limits, self._clock())
        if self._events is None:
            raise EventsDisabled
        count = await self._events.record(events)
        return pb.RecordEventsResponse(recorded_count=count, duplicate_count=len(events) - count)
