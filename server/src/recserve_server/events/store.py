"""The seam between the service and whatever keeps events."""

from collections.abc import Sequence
from typing import Protocol

from recserve_server.events.event import Event, UserEvents


class EventStore(Protocol):
    """Keeps events; every method but `open` may raise `StoreUnavailable`."""

    async def open(self) -> None:
        """Makes it ready.

        Raises:
            ValueError: it never will be; the text says why in one line.
        """
        ...

    async def append(self, events: Sequence[Event]) -> int:
        """Keeps all events or none, and returns how many are new; they are safe when it returns."""
        ...

    def at_hand(self, user_id: str) -> UserEvents | None:
        """Returns what `recent` would, if it is known without asking; costs next to nothing."""
        ...

    async def recent(self, user_id: str) -> UserEvents:
        """Returns what a user's newest events mean."""
        ...

    async def forget(self, user_id: str) -> int:
        """Deletes all events of a user, and returns how many there were."""
        ...

    async def close(self) -> None:
        """Frees what it holds."""
        ...
