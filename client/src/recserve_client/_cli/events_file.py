"""A file of events, one JSON object per line, to values."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Final

from recserve_client._questions import Event, EventType

_REQUIRED: Final = ("user_id", "item_id", "type")
_FIELDS: Final = (*_REQUIRED, "rating", "time", "event_id")


class EventsFileError(Exception):
    """A file cannot be read, or a line of it is no event; the text says which and why."""


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Events that are sent in one call."""

    events: tuple[Event, ...]
    """The events, in the order of their lines."""
    first_line: int
    """Number of the first event's line, from 1."""
    last_line: int
    """Number of the last event's line."""


def read(file: str, size: int) -> Iterator[EventBatch]:
    """Reads the events of a file as `batches` does; "-" is the standard input.

    Raises:
        EventsFileError: as `batches` does, or the file cannot be read.
    """
    try:
        if file == "-":
            yield from batches(sys.stdin.buffer, size)
            return
        with Path(file).open("rb") as lines:
            yield from batches(lines, size)
    except OSError as error:
        raise EventsFileError(f"cannot read {file}: {error.strerror}") from error


def batches(lines: Iterable[bytes], size: int) -> Iterator[EventBatch]:
    """Reads events, `size` at a time; empty lines are passed over.

    Args:
        lines: Lines of UTF-8, each a JSON object or empty.
        size: Most events per batch.

    Raises:
        EventsFileError: a line is no event. The batches before its own were given.
    """
    numbered = ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
    while chunk := list(islice(numbered, size)):
        events = tuple(_event(number, line) for number, line in chunk)
        yield EventBatch(events, first_line=chunk[0][0], last_line=chunk[-1][0])


def _event(number: int, line: bytes) -> Event:
    try:
        return _parsed(line)
    except ValueError as error:
        raise EventsFileError(f"line {number}: {error}") from error


def _parsed(line: bytes) -> Event:
    try:
        written = json.loads(line)
    except ValueError as error:
        raise ValueError(f"is no JSON: {error}") from error
    if not isinstance(written, dict):
        raise ValueError(f"is a {type(written).__name__}, must be an object")
    unknown = written.keys() - set(_FIELDS)
    if unknown:
        raise ValueError(f"has {min(unknown)!r}, must have only {', '.join(_FIELDS)}")
    for name in _REQUIRED:
        if name not in written:
            raise ValueError(f"has no {name}, must have {', '.join(_REQUIRED)}")
    optional: dict[str, str] = {}
    if "event_id" in written:
        optional["event_id"] = _text(written, "event_id")
    return Event(
        _text(written, "user_id"),
        _text(written, "item_id"),
        _type(written["type"]),
        rating=_rating(written.get("rating")),
        time=_time(written.get("time")),
        **optional,
    )


def _text(written: Mapping[str, object], name: str) -> str:
    value = written[name]
    if not isinstance(value, str):
        raise ValueError(f"{name} is {json.dumps(value)}, must be a text")
    return value


def _type(value: object) -> EventType:
    if not isinstance(value, str) or value not in list(EventType):
        raise ValueError(f"type is {json.dumps(value)}, must be one of {', '.join(EventType)}")
    return EventType(value)


def _rating(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"rating is {json.dumps(value)}, must be a number")
    return value


def _time(value: object) -> datetime | None:
    if value is None:
        return None
    allowed = "must be ISO 8601 with a zone, as in 2026-01-31T12:00:00Z"
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise ValueError(f"time is {json.dumps(value)}, {allowed}")
    return time
