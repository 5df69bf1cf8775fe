"""All that answers are made from besides the request."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC
from typing import Final

from recserve.v1 import feedback_service_pb2 as pb
from recserve_client._questions import Event, EventType

from ._catalogue import Catalogue
from ._ids import id_fault

_EVENT_TYPES: Final = {
    pb.EVENT_TYPE_VIEW: EventType.VIEW,
    pb.EVENT_TYPE_CLICK: EventType.CLICK,
    pb.EVENT_TYPE_LIKE: EventType.LIKE,
    pb.EVENT_TYPE_RATING: EventType.RATING,
}


@dataclass(slots=True)
class FakeModel:
    """What a fake server says of its model; may be changed while it runs.

    A raised `version` is what callers see of a new version rolled out: questions to the version
    before end as VERSION_RETIRED.
    """

    name: str = "films"
    """Name of the model."""
    version: int = 1
    """The version that serves."""
    max_k: int = 500
    """Largest k that is accepted."""


@dataclass(slots=True)
class Knowledge:
    """A catalogue, what a test told of it, and what callers told of users."""

    catalogue: Catalogue
    model: FakeModel = field(default_factory=FakeModel)
    exact_lists: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """By user id, what the user gets whatever the ranking."""
    events: dict[str, Event] = field(default_factory=dict)
    """By event id, in the order recorded."""
    _of_user: dict[str, list[Event]] = field(default_factory=lambda: defaultdict(list))

    def set_exact_list(self, user_id: str, item_ids: Sequence[str]) -> None:
        """Takes what a user gets; raises ValueError if that is no list of known items."""
        fault = id_fault(user_id)
        if fault:
            raise ValueError(f"user id is {user_id!r}, which {fault}")
        place = f"the list of user {user_id!r}"
        if isinstance(item_ids, str):
            raise ValueError(f"{place} is {item_ids!r}, must be a sequence of item ids")
        self.catalogue.require(item_ids, place)
        if len(set(item_ids)) != len(item_ids):
            raise ValueError(f"{place} is {list(item_ids)}, must have each item once")
        self.exact_lists[user_id] = tuple(item_ids)

    def record(self, event: pb.Event) -> bool:
        """Keeps a valid event; returns whether it is new."""
        if event.event_id in self.events:
            return False
        kept = Event(
            event.user_id,
            event.item_id,
            _EVENT_TYPES[event.type],
            rating=event.rating if event.HasField("rating") else None,
            time=event.time.ToDatetime(tzinfo=UTC) if event.HasField("time") else None,
            event_id=event.event_id,
        )
        self.events[event.event_id] = kept
        self._of_user[event.user_id].append(kept)
        return True

    def seen(self, user_id: str) -> tuple[str, ...]:
        """Returns the items of all events of a user."""
        return tuple(each.item_id for each in self._of_user.get(user_id, ()))

    def taken(self, user_id: str) -> tuple[str, ...]:
        """Returns the items of those events of a user that say something on taste."""
        events = self._of_user.get(user_id, ())
        return tuple(each.item_id for each in events if each.type is not EventType.VIEW)

    def forget_events(self) -> None:
        """Forgets all events."""
        self.events.clear()
        self._of_user.clear()
