"""Events to the message that carries them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from recserve.v1 import feedback_service_pb2 as feedback_pb
from recserve_client import Event, EventType, InvalidRequestError
from recserve_client._requests import record_events_request

NOON = datetime(2026, 1, 31, 12, 0, 0, 500_000, tzinfo=timezone(timedelta(hours=2)))
NOON_IN_UTC = Timestamp(seconds=int(datetime(2026, 1, 31, 10, tzinfo=UTC).timestamp()))
NOON_IN_UTC.nanos = 500_000_000


def test_an_event_keeps_every_field() -> None:
    event = Event("42", "50", EventType.RATING, rating=4, time=NOON, event_id="e-1")

    assert record_events_request([event]) == feedback_pb.RecordEventsRequest(
        events=[
            feedback_pb.Event(
                event_id="e-1",
                user_id="42",
                item_id="50",
                type=feedback_pb.EVENT_TYPE_RATING,
                rating=4,
                time=NOON_IN_UTC,
            )
        ]
    )


def test_every_type_of_event_has_its_number() -> None:
    request = record_events_request([Event("42", "50", each) for each in EventType])

    names = [feedback_pb.EventType.Name(event.type) for event in request.events]
    assert names == feedback_pb.EventType.keys()[1:]
    assert names == [f"EVENT_TYPE_{each.name}" for each in EventType]


def test_an_event_has_neither_rating_nor_time_unless_given() -> None:
    (event,) = record_events_request([Event("42", "50", EventType.VIEW)]).events

    assert not event.HasField("rating")
    assert not event.HasField("time")


@pytest.mark.parametrize(
    ("events", "place"),
    [
        (Event("42", "50", EventType.VIEW), "events"),
        ([{"user_id": "42"}], "events[0]"),
        ([Event("42", "50", "stare")], "events[0].type"),
        ([Event("1", "2", EventType.VIEW), Event(42, "50", EventType.VIEW)], "events[1].user_id"),
        ([Event("42", 50, EventType.VIEW)], "events[0].item_id"),
        ([Event("42", "50", EventType.VIEW, event_id=7)], "events[0].event_id"),
        ([Event("42", "50", EventType.RATING, rating="4")], "events[0].rating"),
        ([Event("42", "50", EventType.VIEW, time="now")], "events[0].time"),
    ],
)
def test_an_event_that_cannot_be_sent_is_refused_by_place(events, place) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        record_events_request(events)

    assert [violation.field for violation in caught.value.violations] == [place]
