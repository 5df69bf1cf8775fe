"""All connections of one process, and the only place where it waits."""

import select
import selectors
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Final, Self

from recserve_client.loadtest.plan import Endpoint

from .calls import Call
from .channel import Channel, Peer
from .deadlines import Deadlines
from .transport import resolve, tls_context
from .wiring import Wiring

_CONNECT_LIMIT_S: Final = 10.0


class Pool:
    """Calls go in by `ask`, time passes in `turn`, and ended calls come out of `take_ended`."""

    def __init__(self, endpoint: Endpoint, connections: int) -> None:
        """Connects not yet.

        Raises:
            PlanError: the endpoint's certificates cannot be read.
            OSError: its name cannot be resolved.
        """
        addresses = resolve(endpoint.host, endpoint.port)
        peer = Peer(endpoint.server_name, addresses, tls_context(endpoint))
        # Before any other socket: `turn` wants a descriptor that select() takes, below 1024.
        self._selector = selectors.DefaultSelector()
        self._deadlines = Deadlines(endpoint.timeout_s)
        self._wiring = Wiring(self._selector, self._deadlines)
        self._outages: dict[Channel, None] = {}
        self._channels = [Channel(peer, self._wiring, self._outages) for _ in range(connections)]
        self._last, self._addresses = 0, len(peer.addresses)
        self.under_way = 0
        """Calls that went in and did not come out yet."""

    def __enter__(self) -> Self:
        """Returns the pool itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes all connections."""
        for channel in self._channels:
            channel.close()
        self._selector.close()

    @property
    def connections(self) -> int:
        """How many connections it keeps."""
        return len(self._channels)

    def watch(self, readable: Connection, on_ready: Callable[[float], None]) -> None:
        """Calls `on_ready` with the time whenever a pipe can be read during `turn`."""
        self._selector.register(readable, selectors.EVENT_READ, on_ready)

    def connect(self) -> None:
        """Waits until each connection is ready.

        Raises:
            OSError: one cannot be made.
        """
        give_up_s = time.monotonic() + _CONNECT_LIMIT_S
        while self._outages:
            self.turn(give_up_s)
            for channel in self._outages:
                if channel.failures >= self._addresses or time.monotonic() >= give_up_s:
                    raise ConnectionError(channel.trouble or "the server does not answer")

    def ask(self, call: Call, now_s: float) -> None:
        """Puts a call out on the next connection that takes any; it ends at once if none does."""
        channels, last = self._channels, self._last
        for step in range(1, len(channels) + 1):
            channel = channels[(last + step) % len(channels)]
            if channel.takes_calls:
                break
        self._last = (last + step) % len(channels)
        self.under_way += 1
        channel.ask(call, now_s)

    def ask_on(self, connection: int, call: Call, now_s: float) -> None:
        """Puts a call out on the connection of that number; it ends at once if that is lost."""
        self.under_way += 1
        self._channels[connection].ask(call, now_s)

    def turn(self, until_s: float) -> None:
        """Sends, waits until something happens or until that time, and receives."""
        self._flush()
        limit_s = min((until_s, self._deadlines.next_s, *(each.next_s for each in self._outages)))
        pause_s = 0.0 if self._wiring.ended else min(1.0, max(0.0, limit_s - time.monotonic()))
        # Not the selector's own timeout: epoll rounds it up to whole milliseconds.
        if not pause_s or select.select((self._selector,), (), (), pause_s)[0]:
            now_s = time.monotonic()
            for key, _ in self._selector.select(0):
                key.data(now_s)
        now_s = time.monotonic()
        for call in self._deadlines.overdue(now_s):
            if call.connection is not None:
                call.connection.cancel(call)
            self._wiring.end(call, "DEADLINE_EXCEEDED", now_s)
        for channel in tuple(self._outages):
            channel.mend(now_s)

    def take_ended(self) -> list[Call]:
        """Returns the calls that ended since it was last asked."""
        ended = self._wiring.ended
        if ended:
            self._wiring.ended = []
            self.under_way -= len(ended)
        return ended

    def abandon(self, status: str) -> None:
        """Cancels all calls under way; they end with that status."""
        now_s = time.monotonic()
        for channel in self._channels:
            channel.abandon(status, now_s)
        self._flush()

    def _flush(self) -> None:
        unflushed = self._wiring.unflushed
        if unflushed:
            self._wiring.unflushed = []
            for connection in unflushed:
                if not connection.is_over:
                    connection.flush()
                    self._wiring.listen(connection)
