"""What was recorded of users, added to their questions, whatever the state of the store."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, TypeVar

from recserve_server.config import EventsConfig
from recserve_server.errors import StoreUnavailable
from recserve_server.events.event import Event, UserEvents
from recserve_server.events.store import EventStore
from recserve_server.query import Options, Query, RankQuery
from recserve_server.stats import EventStats

_log = logging.getLogger(__name__)
_FAILURES_TO_OPEN: Final = 5
_SHARE_OF_DEADLINE: Final = 0.25

_Question = TypeVar("_Question", Query, RankQuery)


class RecordedEvents:
    """Reads and writes a store without ever keeping an answer waiting for it.

    A read gets `read_timeout_ms`, and a quarter of the caller's time at the most; else the question
    is answered without, and marked. After five failures in a row the store is left alone: one read
    every `probe_interval_s` tries whether it is back.
    """

    def __init__(
        self,
        store: EventStore,
        config: EventsConfig,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Takes the store and a clock of seconds, never going back."""
        self.stats = EventStats()
        self._store, self._config, self._clock = store, config, clock
        self._failures = 0
        self._probe_s = 0.0

    @property
    def is_available(self) -> bool:
        """Whether the store is being asked."""
        return self._failures < _FAILURES_TO_OPEN

    async def open(self) -> None:
        """Opens the store; raises ValueError if it never can be."""
        await self._store.open()

    async def close(self) -> None:
        """Closes the store."""
        await self._store.close()

    async def record(self, events: Sequence[Event]) -> int:
        """Keeps all events or none; returns how many are new.

        Raises:
            StoreUnavailable: it is not known that they are kept; it does no harm to try again.
        """
        try:
            async with asyncio.timeout(self._config.write_timeout_ms / 1000):
                count = await self._store.append(events)
        except (TimeoutError, StoreUnavailable) as error:
            # Where the store is and what it says is not the caller's to know.
            _log.error("events were not kept", extra={"reason": _reason(error)})
            raise StoreUnavailable("events cannot be kept now") from error
        self.stats.recorded += count
        return count

    async def added_to(self, question: _Question, remaining_s: float | None) -> _Question:
        """Returns a question with what was recorded of its user.

        Args:
            question: of anybody.
            remaining_s: seconds that the caller still waits, None for ever.
        """
        if not question.user_id:
            return question
        events = self._store.at_hand(question.user_id)
        if events is None:
            events = await self._recent(question.user_id, remaining_s)
        if events is not None and not events.seen_item_ids:
            return question
        return _with_events(question, events)

    async def _recent(self, user_id: str, remaining_s: float | None) -> UserEvents | None:
        """Returns None if the store cannot be asked, or does not answer in time."""
        self.stats.reads += 1
        if not self.is_available:
            if self._clock() < self._probe_s:
                self.stats.degraded += 1
                return None
            # Whoever comes while this one asks is answered without.
            self._probe_s = self._clock() + self._config.probe_interval_s
        usual_s = limit_s = self._config.read_timeout_ms / 1000
        if remaining_s is not None:
            limit_s = min(usual_s, _SHARE_OF_DEADLINE * remaining_s)
        try:
            events = await _within(limit_s, self._store.recent(user_id))
        except (TimeoutError, StoreUnavailable) as error:
            self.stats.degraded += 1
            # That a caller has no time for the store says nothing of the store.
            if limit_s == usual_s or isinstance(error, StoreUnavailable):
                self._failed(error)
            return None
        if not self.is_available:
            _log.warning("the store of events answers again")
        self._failures = 0
        return events

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        if self._failures == _FAILURES_TO_OPEN:
            self._probe_s = self._clock() + self._config.probe_interval_s
            _log.error("answering without recorded events", extra={"reason": _reason(error)})


async def _within(limit_s: float, reading: Coroutine[Any, Any, UserEvents]) -> UserEvents:
    """Returns what is read, also if it came while the event loop was too busy to look.

    `asyncio.timeout` would throw away an answer that is there when the time is over, so that a
    loaded server took its own delay for the store's.
    """
    task = asyncio.ensure_future(reading)
    try:
        await asyncio.wait((task,), timeout=limit_s)
        if not task.done():
            raise TimeoutError
        return task.result()
    finally:
        task.cancel()


def _reason(error: Exception) -> str:
    return str(error) or "no answer in time"


def _options(question: Query | RankQuery) -> Options:
    return Options() if question.options is None else question.options


def _with_events(question: _Question, events: UserEvents | None) -> _Question:
    options = _options(question)
    if events is None:
        return question._replace(options=options._replace(is_degraded=True))
    given = {each.item_id for each in options.history}
    recorded = tuple(each for each in events.history if each.item_id not in given)
    added = options._replace(
        # What the caller says is the newest.
        history=recorded + options.history,
        seen_item_ids=events.seen_item_ids,
    )
    return question._replace(options=added)
