"""When the time of calls runs out."""

import math
from collections import deque
from typing import Final

from .calls import Call

_COMPACT_ABOVE: Final = 10_000


class Deadlines:
    """A queue suffices: all calls have the same timeout, so whoever began first is due first."""

    def __init__(self, timeout_s: float | None) -> None:
        """Begins empty; None means that no call is ever due."""
        self._timeout_s = timeout_s
        self._queue: deque[tuple[float, Call]] = deque()
        self._compact_above = _COMPACT_ABOVE

    def __len__(self) -> int:
        """Returns how many calls are kept, ended ones included."""
        return len(self._queue)

    @property
    def next_s(self) -> float:
        """When the next call may be due; infinite without any."""
        return self._queue[0][0] if self._queue else math.inf

    def begin(self, call: Call, now_s: float) -> None:
        """Counts the call's time from now, whatever was counted before."""
        if self._timeout_s is None or call.due_s == now_s + self._timeout_s:
            return  # one that is begun twice at a time would be found overdue twice
        call.due_s = now_s + self._timeout_s
        self._queue.append((call.due_s, call))

    def overdue(self, now_s: float) -> list[Call]:
        """Takes the calls out that are under way and whose time has run out."""
        queue, found = self._queue, []
        while queue:
            due_s, call = queue[0]
            stale = call.status or call.due_s != due_s
            if not stale and due_s > now_s:
                break
            queue.popleft()
            if not stale:
                found.append(call)
        if len(queue) > self._compact_above:
            # One call without an answer must not keep all that ended after it.
            self._queue = deque(pair for pair in queue if not pair[1].status)
            self._compact_above = 2 * len(self._queue) + _COMPACT_ABOVE
        return found
