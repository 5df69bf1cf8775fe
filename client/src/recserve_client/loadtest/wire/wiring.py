"""What all connections of a process share."""

import selectors
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .calls import Call
from .deadlines import Deadlines

if TYPE_CHECKING:
    from .connection import Connection


@dataclass(slots=True)
class Wiring:
    """Where connections are waited for, and where they put what they find."""

    selector: selectors.BaseSelector
    deadlines: Deadlines
    ended: list[Call] = field(default_factory=list)
    """Calls that ended since someone looked."""
    unflushed: list["Connection"] = field(default_factory=list)
    """Who has something to write."""

    def end(self, call: Call, status: str, now_s: float) -> None:
        """Notes how a call ended."""
        call.status, call.ended_s, call.connection = status, now_s, None
        self.ended.append(call)

    def listen(self, connection: "Connection") -> None:
        """Makes the selector wait for what the connection waits for."""
        write = selectors.EVENT_WRITE if connection.wants_write else 0
        events, before = selectors.EVENT_READ | write, connection.events
        if events != before:
            change = self.selector.modify if before else self.selector.register
            change(connection.transport.fileno(), events, connection.on_ready)
            connection.events = events

    def forget(self, connection: "Connection") -> None:
        """Makes the selector wait for it no more."""
        self.selector.unregister(connection.transport.fileno())
        connection.events = 0
