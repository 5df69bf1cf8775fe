"""A place for one connection, which is made anew when it is lost or told to go."""

import functools
import math
import ssl
from collections import deque
from dataclasses import dataclass
from typing import Final

from .calls import Call
from .connection import Connection, LostError
from .transport import Address, Transport
from .wiring import Wiring

_FIRST_BACKOFF_S, _LONGEST_BACKOFF_S = 0.1, 1.0
_CONNECT_LIMIT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Peer:
    """Whom channels connect to."""

    name: str
    """Name to find in its certificate."""
    addresses: list[Address]
    tls: ssl.SSLContext | None


class Channel:
    """Takes calls; they wait while the server allows no more, and end while there is no server."""

    def __init__(self, peer: Peer, wiring: Wiring, outages: "dict[Channel, None]") -> None:
        """Connects at the first `mend`; `outages` gets who is without a ready connection."""
        self.trouble = ""
        """Why the last attempt to connect failed, "" once one did not."""
        self.failures = 0
        """Attempts that failed since there was a connection."""
        self._peer, self._wiring, self._outages = peer, wiring, outages
        self._current: Connection | None = None
        self._draining: list[Connection] = []
        self._waiting: deque[Call] = deque()
        self._takes_calls = False
        self._next_s = -math.inf  # when to connect, or to give the attempt up
        outages[self] = None

    @property
    def takes_calls(self) -> bool:
        """Whether calls can be answered: a server is there, or was a moment ago and bade us go."""
        return self._takes_calls

    @property
    def next_s(self) -> float:
        """When `mend` has something to do."""
        return self._next_s

    def ask(self, call: Call, now_s: float) -> None:
        """Puts a call out; it waits here while the server allows no more."""
        connection = self._current
        if not self._takes_calls:
            self._wiring.end(call, "CONNECTION_LOST", now_s)
        elif connection is not None and not self._waiting and connection.has_room(call.request):
            connection.start(call, now_s)
        else:
            self._wiring.deadlines.begin(call, now_s)
            self._waiting.append(call)
            self._start_waiting(now_s)

    def mend(self, now_s: float) -> None:
        """Connects if it is time to, and gives up an attempt that takes too long."""
        if now_s < self._next_s:
            return
        if self._current is None:
            self._connect(now_s)
        else:
            self._lose(self._current, LostError("no answer to the attempt to connect"), now_s)

    def abandon(self, status: str, now_s: float) -> None:
        """Cancels all its calls; they end with that status."""
        for connection in self._connections():
            for call in tuple(connection.calls.values()):
                connection.cancel(call)
                self._wiring.end(call, status, now_s)
        for call in self._waiting:
            if not call.status:
                self._wiring.end(call, status, now_s)
        self._waiting.clear()

    def close(self) -> None:
        """Closes its connections."""
        for connection in self._connections():
            self._drop(connection)

    def _connections(self) -> list[Connection]:
        return [*self._draining, *([self._current] if self._current else ())]

    def _connect(self, now_s: float) -> None:
        addresses = self._peer.addresses
        address = addresses[self.failures % len(addresses)]
        try:
            transport = Transport(address, self._peer.tls, self._peer.name)
        except OSError as error:
            self._fail(error.strerror or str(error), now_s)
            return
        connection = self._current = Connection(transport, self._wiring)
        connection.on_ready = functools.partial(self._serve, connection)
        self._next_s = now_s + _CONNECT_LIMIT_S
        self._wiring.listen(connection)

    def _serve(self, connection: Connection, now_s: float) -> None:
        """Does what the connection's socket is ready for."""
        if connection.is_over:
            return
        try:
            connection.receive(now_s)
        except LostError as error:
            self._lose(connection, error, now_s)
            return
        if connection.is_going_away:
            self._let_go(connection, now_s)
        elif connection is self._current and connection.is_ready:
            if self._next_s < math.inf:
                self._welcome()
            self._start_waiting(now_s)
        if not connection.is_over:
            connection.flush()
            self._wiring.listen(connection)

    def _welcome(self) -> None:
        """Notes that the connection is ready for calls."""
        self._takes_calls, self.trouble, self.failures, self._next_s = True, "", 0, math.inf
        self._outages.pop(self, None)

    def _start_waiting(self, now_s: float) -> None:
        """Starts calls that wait, as far as the server allows."""
        waiting, connection = self._waiting, self._current
        while waiting and connection is not None:
            if not waiting[0].status:  # else its time ran out here
                if not connection.has_room(waiting[0].request):
                    break
                connection.start(waiting[0], now_s)
            waiting.popleft()

    def _let_go(self, connection: Connection, now_s: float) -> None:
        """Replaces a connection whose server wants it to end; calls in flight may end first."""
        if connection is self._current and self._next_s < math.inf:
            self._lose(connection, LostError("the server went away at once"), now_s)
            return
        self._waiting.extendleft(reversed(connection.dropped))
        connection.dropped.clear()
        if connection is self._current:
            self._draining.append(connection)
            self._current = None
            self._outages[self] = None
            self._connect(now_s)
        if not connection.calls:
            self._draining.remove(connection)
            self._drop(connection)

    def _lose(self, connection: Connection, error: LostError, now_s: float) -> None:
        """Ends the calls of a connection that is over."""
        self._drop(connection)
        for call in (*connection.calls.values(), *connection.dropped):
            self._wiring.end(call, error.status, now_s)
        connection.calls.clear()
        if connection is self._current:
            self._current = None
            self._fail(str(error), now_s)
        else:
            self._draining.remove(connection)

    def _fail(self, trouble: str, now_s: float) -> None:
        """Ends the calls that wait; sets the time of the next attempt, at the next address."""
        self.trouble, self._takes_calls = trouble, False
        for call in self._waiting:
            if not call.status:
                self._wiring.end(call, "CONNECTION_LOST", now_s)
        self._waiting.clear()
        self.failures += 1
        self._outages[self] = None
        rounds, rest = divmod(self.failures, len(self._peer.addresses))
        backoff_s = min(_LONGEST_BACKOFF_S, _FIRST_BACKOFF_S * 2 ** min(rounds - 1, 10))
        self._next_s = now_s if rest else now_s + backoff_s

    def _drop(self, connection: Connection) -> None:
        self._wiring.forget(connection)
        connection.close()
