"""The values of `_questions.py` and plain ones to protobuf fields; pure."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final, Protocol, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from recserve.v1 import feedback_service_pb2 as feedback_pb
from recserve.v1 import recommendation_service_pb2 as recommendation_pb

from ._errors import refusal
from ._questions import Diversity, Event, EventType, Filter, HistoryEntry, ItemView

_Request = TypeVar("_Request", bound=Message)

_ALLOWED: Final[Mapping[int, str]] = {
    FieldDescriptor.CPPTYPE_STRING: "a str",
    FieldDescriptor.CPPTYPE_INT32: "an int of 32 bits",
    FieldDescriptor.CPPTYPE_INT64: "an int of 64 bits",
    FieldDescriptor.CPPTYPE_BOOL: "a bool",
    FieldDescriptor.CPPTYPE_DOUBLE: "a number",
}
_VIEWS: Final[Mapping[object, recommendation_pb.ItemView.ValueType]] = {
    ItemView.BASIC: recommendation_pb.ITEM_VIEW_BASIC,
    ItemView.FULL: recommendation_pb.ITEM_VIEW_FULL,
}
_EVENT_TYPES: Final[Mapping[object, feedback_pb.EventType.ValueType]] = {
    EventType.VIEW: feedback_pb.EVENT_TYPE_VIEW,
    EventType.CLICK: feedback_pb.EVENT_TYPE_CLICK,
    EventType.LIKE: feedback_pb.EVENT_TYPE_LIKE,
    EventType.RATING: feedback_pb.EVENT_TYPE_RATING,
}


_NO_FIELDS: Final = frozenset({"priority"})
"""Options that go beside the message."""


class _Texts(Protocol):
    def append(self, value: str, /) -> None: ...


def filled(message: _Request, place: str = "", /, **fields: object) -> _Request:
    """Sets the fields of `message` and returns it.

    Args:
        message: The message to fill.
        place: Where it stands in a larger one, as the server writes it: "requests[3].".
        **fields: The values by name of their field.

    Raises:
        InvalidRequestError: a value is of the wrong type or too large for its field.
    """
    for field, value in fields.items():
        try:
            setattr(message, field, value)
        except (TypeError, ValueError) as error:
            kind = message.DESCRIPTOR.fields_by_name[field].cpp_type
            raise refusal(f"{place}{field}", value, _ALLOWED[kind]) from error
    return message


def with_options(message: _Request, options: Mapping[str, object], place: str = "") -> _Request:
    """Sets the fields that `options` name and returns `message`; `priority` is none of them.

    Raises:
        InvalidRequestError: as `filled` does.
        TypeError: the message has no field of some name.
    """
    for name, value in options.items():
        if name in _NO_FIELDS:
            continue
        if name not in message.DESCRIPTOR.fields_by_name:
            raise TypeError(f"there is no option {name!r} for a {message.DESCRIPTOR.name}")
        if name not in _WRITERS:
            filled(message, place, **{name: value})
        elif value is not None:
            _WRITERS[name](message, f"{place}{name}", value)
    return message


def elements(place: str, values: object, allowed: str) -> Iterable[Any]:
    """Returns `values`; raises InvalidRequestError if it is one text or cannot be walked."""
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise refusal(place, values, allowed)
    return values


def write_texts(texts: _Texts, place: str, values: object, allowed: str) -> None:
    """Appends `values` to a repeated field; raises InvalidRequestError as `filled` does."""
    for index, value in enumerate(elements(place, values, allowed)):
        try:
            texts.append(value)
        except (TypeError, ValueError) as error:
            raise refusal(f"{place}[{index}]", value, "a str") from error


def write_event(message: feedback_pb.Event, place: str, event: object) -> None:
    """Fills in one event; raises InvalidRequestError as `filled` does."""
    if not isinstance(event, Event):
        raise refusal(place, event, "an Event")
    filled(
        message,
        f"{place}.",
        event_id=event.event_id,
        user_id=event.user_id,
        item_id=event.item_id,
        type=_number_of(f"{place}.type", event.type, _EVENT_TYPES),
    )
    _write_rating_and_time(message, place, event)


def _write_history(
    message: recommendation_pb.RecommendRequest, place: str, history: object
) -> None:
    allowed = "a sequence of item ids or HistoryEntry"
    for index, given in enumerate(elements(place, history, allowed)):
        at = f"{place}[{index}]"
        entry = HistoryEntry(given) if isinstance(given, str) else given
        if not isinstance(entry, HistoryEntry):
            raise refusal(at, given, "an item id or a HistoryEntry")
        written = filled(message.history.add(), f"{at}.", item_id=entry.item_id)
        _write_rating_and_time(written, at, entry)


def _write_rating_and_time(
    message: recommendation_pb.HistoryEntry | feedback_pb.Event,
    place: str,
    value: HistoryEntry | Event,
) -> None:
    if value.rating is not None:
        filled(message, f"{place}.", rating=value.rating)
    if value.time is not None:
        message.time.CopyFrom(_timestamp(f"{place}.time", value.time))


def _timestamp(place: str, time: object) -> Timestamp:
    # Protobuf takes a time without a zone as UTC, which is seldom what was meant.
    if not isinstance(time, datetime) or time.tzinfo is None:
        raise refusal(place, time, "a datetime with a time zone")
    timestamp = Timestamp()
    timestamp.FromDatetime(time)
    return timestamp


def _write_features(
    message: recommendation_pb.RecommendRequest, place: str, features: object
) -> None:
    if not isinstance(features, Mapping):
        raise refusal(place, features, "a mapping from name to number or str")
    for index, (name, value) in enumerate(features.items()):
        feature = filled(message.features.add(), f"{place}[{index}].", name=name)
        if isinstance(value, bool):
            # It would pass for 0 or 1, whatever the table says of the attribute.
            raise refusal(f"{place}[{index}]", value, "a number or a str")
        field = "text" if isinstance(value, str) else "number"
        filled(feature, f"{place}[{index}].", **{field: value})


def _write_filters(
    message: recommendation_pb.RecommendRequest, place: str, filters: object
) -> None:
    for index, each in enumerate(elements(place, filters, "a sequence of Filter")):
        at = f"{place}[{index}]"
        if not isinstance(each, Filter):
            raise refusal(at, each, "a Filter")
        written = filled(message.filters.add(), f"{at}.", attribute=each.attribute)
        if each.kind == "range":
            _write_range(written.range, f"{at}.range.", each)
            continue
        texts = getattr(written, each.kind)
        texts.SetInParent()
        write_texts(texts.values, f"{at}.{each.kind}.values", each.values, "a sequence of str")


def _write_range(message: recommendation_pb.NumberRange, place: str, given: Filter) -> None:
    message.SetInParent()
    for field, end in (("min", given.minimum), ("max", given.maximum)):
        if end is not None:
            filled(message, place, **{field: end})


def _write_diversity(
    message: recommendation_pb.RecommendRequest, place: str, diversity: object
) -> None:
    if not isinstance(diversity, Diversity):
        raise refusal(place, diversity, "a Diversity")
    message.diversity.SetInParent()
    filled(message.diversity, f"{place}.", **{"lambda": diversity.weight})
    if not isinstance(diversity.caps, Mapping):
        raise refusal(f"{place}.caps", diversity.caps, "a mapping from attribute to int")
    for index, (attribute, max_count) in enumerate(diversity.caps.items()):
        cap = message.diversity.caps.add()
        filled(cap, f"{place}.caps[{index}].", attribute=attribute, max_count=max_count)


def _write_view(message: recommendation_pb.RecommendRequest, place: str, view: object) -> None:
    message.view = _number_of(place, view, _VIEWS)


def _write_excluded(message: recommendation_pb.RecommendRequest, place: str, ids: object) -> None:
    write_texts(message.excluded_item_ids, place, ids, "a sequence of item ids")


def _write_allowed(message: recommendation_pb.RecommendRequest, place: str, ids: object) -> None:
    write_texts(message.allowed_item_ids, place, ids, "a sequence of item ids")


_Number = TypeVar("_Number")


def _number_of(place: str, value: object, numbers: Mapping[object, _Number]) -> _Number:
    if not isinstance(value, str) or value not in numbers:
        raise refusal(place, value, f"one of {', '.join(map(str, numbers))}")
    return numbers[value]


# Other requests have fields of the same names and types; `with_options` sees to it that they do.
_WRITERS: Final[Mapping[str, Callable[[Any, str, object], None]]] = {
    "allowed_item_ids": _write_allowed,
    "diversity": _write_diversity,
    "excluded_item_ids": _write_excluded,
    "features": _write_features,
    "filters": _write_filters,
    "history": _write_history,
    "view": _write_view,
}
