"""Whether the event loop still turns, seen from other threads."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from recserve_server.stats import SECONDS, Distribution

BEAT_S: Final = 0.25
"""Time between two beats."""


class Heartbeat:
    """Beats in the event loop; what it tells may be read by any thread."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Takes the clock, seconds that never go back; the first beat is now."""
        self._clock = clock
        self._last_s = clock()
        self.lag_s = Distribution(SECONDS)
        """How much later than it should have been each beat was: what a call waits, too."""

    @property
    def age_s(self) -> float:
        """Seconds since the last beat."""
        return self._clock() - self._last_s

    async def run(self) -> None:
        """Beats until it is cancelled."""
        self._last_s = self._clock()
        while True:
            await asyncio.sleep(BEAT_S)
            now_s = self._clock()
            self.lag_s.add(max(0.0, now_s - self._last_s - BEAT_S))
            self._last_s = now_s
