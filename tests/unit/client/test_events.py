"""Events through both clients, against a real server."""

import grpc
import pytest
from google.rpc import error_details_pb2 as details_pb

from recserve.v1 import feedback_service_pb2 as feedback_pb
from recserve_client import (
    Event,
    EventType,
    InvalidRequestError,
    RecommenderClient,
    RecommenderError,
    RecordedEvents,
    UnavailableError,
    UnsupportedError,
)


def likes(count: int) -> list[Event]:
    return [Event("42", str(number), EventType.LIKE) for number in range(count)]


def test_events_are_counted_as_the_server_counts_them(server, ask) -> None:
    server.handle_record_events = lambda request, context: feedback_pb.RecordEventsResponse(
        recorded_count=2, duplicate_count=1
    )

    assert ask("record_events", likes(3)) == RecordedEvents(recorded_count=2, duplicate_count=1)


def test_events_arrive_in_their_order_in_one_call(server, ask) -> None:
    events = likes(1000)

    ask("record_events", events)

    (request,) = server.requests
    assert [each.event_id for each in request.events] == [each.event_id for each in events]


def test_an_event_bears_the_same_id_in_every_try(server, ask) -> None:
    server.fail_times(2, grpc.StatusCode.UNAVAILABLE)

    ask("record_events", likes(1), timeout_s=30.0)

    assert len(server.requests) == 3
    assert len({request.events[0].event_id for request in server.requests}) == 1


@pytest.mark.parametrize(
    ("events", "options"), [("e", {}), ([{"user_id": "42"}], {}), ([], {"timeout_s": 0})]
)
def test_events_that_cannot_be_sent_are_refused_without_a_call(
    server, ask, events, options
) -> None:
    with pytest.raises(InvalidRequestError):
        ask("record_events", events, **options)

    assert server.requests == []


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        (grpc.StatusCode.FAILED_PRECONDITION, "EVENTS_DISABLED", UnsupportedError),
        (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE", UnavailableError),
        (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELDS", InvalidRequestError),
    ],
)
def test_a_refusal_is_the_exception_that_tells_what_to_do(
    server, ask, code, reason, expected
) -> None:
    server.fail(code, "no", details_pb.ErrorInfo(reason=reason))

    with pytest.raises(RecommenderError) as caught:
        ask("record_events", likes(1), timeout_s=30.0)

    assert type(caught.value) is expected
    assert caught.value.reason == reason


def test_a_closed_client_records_nothing(server) -> None:
    client = RecommenderClient(server.target)
    client.close()

    with pytest.raises(RecommenderError, match="the client is closed"):
        client.record_events(likes(1))
