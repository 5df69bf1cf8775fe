"""When the next call leaves, in an open and in a closed loop."""

import math
from collections import deque
from collections.abc import Iterator
from typing import Final, Protocol

from .slices import Tally
from .wire.calls import Call, EncodedCall
from .wire.pool import Pool

_BURST: Final = 64
"""Calls handed over between two looks at the clock, so that those behind in time leave soon."""
_PAUSE_S: Final = 0.01
"""Before a closed loop calls again where a call failed, lest a dead server be hammered."""


class Pacer(Protocol):
    """Decides when calls leave; times are seconds on the clock of time.monotonic."""

    @property
    def next_s(self) -> float:
        """When a call is to leave next; infinite if none is or it takes an answer first."""

    def ask(self, now_s: float) -> None:
        """Lets the calls leave whose time has come."""

    def note_end(self, call: Call) -> None:
        """Learns that a call ended."""

    def stop(self, end_s: float) -> None:
        """Lets no call leave whose time is not before `end_s`."""


class OpenPacer:
    """Lets calls leave at given times."""

    def __init__(
        self, times: Iterator[tuple[float, EncodedCall]], pool: Pool, tally: Tally
    ) -> None:
        """Takes (when to leave, what), ascending."""
        self._times, self._pool, self._tally = times, pool, tally
        self._next_s = self._end_s = math.inf
        self._advance()

    @property
    def next_s(self) -> float:
        """When the next call leaves."""
        return self._next_s

    def ask(self, now_s: float) -> None:
        """Lets calls leave whose time has come, up to a burst."""
        for _ in range(_BURST):
            if self._next_s > now_s:
                return
            call = Call(self._request, self._next_s)
            self._tally.leave(call, now_s)
            self._pool.ask(call, now_s)
            self._advance()

    def note_end(self, call: Call) -> None:
        """Does nothing: the end of a call lets no other leave."""

    def stop(self, end_s: float) -> None:
        """Drops the times that are not before `end_s`."""
        self._end_s = end_s
        if self._next_s >= end_s:
            self._next_s = math.inf

    def _advance(self) -> None:
        found = next(self._times, None)
        if found is None or found[0] >= self._end_s:
            self._next_s = math.inf
        else:
            self._next_s, self._request = found


class ClosedPacer:
    """Keeps slots filled; each belongs to one connection, so that all keep their share."""

    def __init__(
        self, slots: int, requests: Iterator[EncodedCall], pool: Pool, tally: Tally
    ) -> None:
        """Takes what to ask, without end; all slots are free at first."""
        self._requests, self._pool, self._tally = requests, pool, tally
        self._free = deque(range(slots))
        self._paused: deque[tuple[float, int]] = deque()
        self._end_s = tally.end_s

    @property
    def next_s(self) -> float:
        """When a slot's pause ends."""
        return self._paused[0][0] if self._paused else math.inf

    def ask(self, now_s: float) -> None:
        """Fills the free slots."""
        if now_s >= self._end_s:
            self._free.clear()
            self._paused.clear()
            return
        while self._paused and self._paused[0][0] <= now_s:
            self._free.append(self._paused.popleft()[1])
        while self._free:
            slot = self._free.popleft()
            call = Call(next(self._requests), now_s, slot)
            self._tally.leave(call, now_s)
            self._pool.ask_on(slot % self._pool.connections, call, now_s)

    def note_end(self, call: Call) -> None:
        """Frees the slot of a call that was answered OK, pauses that of one that failed."""
        if call.status == "OK":
            self._free.append(call.slot)
        else:
            self._paused.append((call.ended_s + _PAUSE_S, call.slot))

    def stop(self, end_s: float) -> None:
        """Fills no slot from `end_s` on."""
        self._end_s = end_s
