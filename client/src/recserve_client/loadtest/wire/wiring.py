"""What all connections of a process share."""

import selectors
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from .calls import Call
from .deadlines import Deadlines
from .transport import Transport


class Wired(Protocol):
    """A connection, as far as others wait for it."""

    transport: Transport
    events: int
    """What the selector waits for."""
    on_ready: Callable[[float], None]
    """Is called with the time when there is something to read or write."""
    is_over: bool
    """Whether it is lost."""

    @property
    def wants_write(self) -> bool:
        """Whether there is something left to write."""

    def flush(self) -> None:
        """Writes what the socket takes."""


@dataclass(slots=True)
class Wiring:
    """Where connections are waited for, and where they put what they find."""

    selector: selectors.BaseSelector
    deadlines: Deadlines
    ended: list[Call] = field(default_factory=list)
    """Calls that ended since someone looked."""
    unflushed: list[Wired] = field(default_factory=list)
    """Who has something to write."""

    def end(self, call: Call, status: str, now_s: float) -> None:
        """Notes how a call ended."""
        call.status, call.ended_s, call.connection = status, now_s, None
        self.ended.append(call)

    def listen(self, connection: Wired) -> None:
        """Makes the selector wait for what the connection waits for."""
        write = selectors.EVENT_WRITE if connection.wants_write else 0
        events, before = selectors.EVENT_READ | write, connection.events
        if events != before:
            change = self.selector.modify if before else self.selector.register
            change(connection.transport.fileno(), events, connection.on_ready)
            connection.events = events

    def forget(self, connection: Wired) -> None:
        """Makes the selector wait for it no more."""
        self.selector.unregister(connection.transport.fileno())
        connection.events = 0
