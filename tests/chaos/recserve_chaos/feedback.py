"""What was sent and acknowledged of events: who must find what again."""

from collections import defaultdict
from dataclasses import dataclass, field
from random import Random

from recserve_client import Event, EventType

from .oracle import Recorded
from .questions import Names


@dataclass
class Feedback:
    """Events of users who have nothing else; every second of them only views."""

    names: Names
    is_shared: bool
    """Whether all replicas know what one recorded."""
    acknowledged: dict[str, tuple[Event, float]] = field(default_factory=dict)
    """By event id, the event and when its acknowledgement came."""
    given_up: int = 0
    """Events that no try was acknowledged of; they may be kept or not."""
    _sure: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _sent: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def draw(self, random: Random) -> list[Event]:
        """Draws what one call records."""
        user_id = random.choice(self.names.event_users)
        events = []
        for item_id in random.sample(self.names.items, random.randint(1, 3)):
            kind = EventType.VIEW
            rating = None
            if self._is_taster(user_id):
                kind = random.choice(list(EventType))
                rating = 4.0 if kind is EventType.RATING else None
            event_id = f"{random.getrandbits(96):024x}"
            events.append(Event(user_id, item_id, kind, rating=rating, event_id=event_id))
        return events

    def send(self, events: list[Event]) -> None:
        """Notes that they may be kept from now on."""
        for each in events:
            self._sent[each.user_id].add(each.item_id)

    def acknowledge(self, events: list[Event], moment_s: float) -> None:
        """Notes that they must be kept for good."""
        for each in events:
            self.acknowledged[each.event_id] = (each, moment_s)
            self._sure[each.user_id].add(each.item_id)

    def surely(self, user_id: str) -> frozenset[str]:
        """Returns the items that must not come back from now on."""
        return frozenset(self._sure[user_id]) if self.is_shared else frozenset()

    def recorded(self, user_id: str, surely: frozenset[str]) -> Recorded:
        """Returns what was recorded while a call was under way, from what was before it."""
        return Recorded(surely, frozenset(self._sent[user_id]), self._is_taster(user_id))

    def _is_taster(self, user_id: str) -> bool:
        return self.names.event_users.index(user_id) % 2 == 1
