"""Requests to FeedbackService."""

from typing import Final

from recserve.v1 import feedback_service_pb2 as pb
from recserve_server.config import Limits
from recserve_server.errors import FieldViolation
from recserve_server.events.event import Event, EventKind
from recserve_server.validation.fields import (
    count_violations,
    finite_violations,
    refuse_any,
    text_violations,
)

_S_PER_DAY: Final = 86_400
_TYPES: Final = ", ".join(pb.EventType.Name(number) for number in pb.EventType.values() if number)


def parse_record_events(
    request: pb.RecordEventsRequest, limits: Limits, now_s: float
) -> list[Event]:
    """Returns the events of a valid request, those without a time having happened at `now_s`.

    Raises:
        InvalidRequest: with the first 16 violations, each with its place, as in events[3].item_id.
    """
    violations = count_violations("events", len(request.events), limits.max_events, least=1)
    if not violations:
        for place, event in enumerate(request.events):
            violations += _violations(f"events[{place}]", event, limits, now_s)
    refuse_any(violations, "events")
    return [_event(each, now_s) for each in request.events]


def _violations(field: str, event: pb.Event, limits: Limits, now_s: float) -> list[FieldViolation]:
    violations = text_violations(f"{field}.event_id", event.event_id, limits)
    violations += text_violations(f"{field}.user_id", event.user_id, limits)
    violations += text_violations(f"{field}.item_id", event.item_id, limits)
    if event.type not in {int(kind) for kind in EventKind}:
        violations.append(FieldViolation(f"{field}.type", f"is {event.type}, must be {_TYPES}"))
    is_rating = event.type == pb.EVENT_TYPE_RATING
    if is_rating != event.HasField("rating"):
        told = "is missing, must be given" if is_rating else "is given, must not be"
        violations.append(
            FieldViolation(f"{field}.rating", f"{told} with {pb.EventType.Name(event.type)}")
            if event.type in pb.EventType.values()
            else FieldViolation(f"{field}.rating", told)
        )
    violations += finite_violations(f"{field}.rating", event.rating)
    if event.HasField("time") and not 0 <= event.time.seconds <= now_s + _S_PER_DAY:
        violations.append(
            FieldViolation(
                f"{field}.time",
                f"is {event.time.seconds} s in Unix time, must be from 1970 to a day from now",
            )
        )
    return violations


def _event(event: pb.Event, now_s: float) -> Event:
    time_s = event.time.seconds + event.time.nanos / 1e9 if event.HasField("time") else now_s
    rating = event.rating if event.HasField("rating") else float("nan")
    return Event(
        event.event_id, event.user_id, event.item_id, EventKind(event.type), rating, time_s
    )
