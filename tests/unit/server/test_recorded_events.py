"""Recorded events on the way of an answer: used if there in time, never waited for."""

import asyncio
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from stores import RedisServer, event, redis_store

from recserve_server.config import EventsConfig
from recserve_server.errors import StoreUnavailable
from recserve_server.events.event import NO_EVENTS, Event, UserEvents
from recserve_server.events.recorded import RecordedEvents
from recserve_server.query import HistoryEntry, Options, Query, RankQuery

CONFIG = EventsConfig(read_timeout_ms=20, write_timeout_ms=50, probe_interval_s=5)
EVENTS = UserEvents(("a", "b", "c"), (HistoryEntry("a", 4.0), HistoryEntry("c")))


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Store:
    """Answers, fails or hangs as told; "stranger" has no events."""

    def __init__(self) -> None:
        self.state, self.asked = "answers", 0

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def at_hand(self, user_id: str) -> UserEvents | None:
        return NO_EVENTS if user_id == "stranger" else None

    async def append(self, events: Sequence[Event]) -> int:
        await self._act()
        return len(events)

    async def forget(self, user_id: str) -> int:
        raise NotImplementedError

    async def recent(self, user_id: str) -> UserEvents:
        self.asked += 1
        await self._act()
        return EVENTS if user_id == "u1" else NO_EVENTS

    async def _act(self) -> None:
        if self.state == "hangs":
            await asyncio.sleep(3600)
        if self.state == "takes a moment":
            await asyncio.to_thread(time.sleep, 0.005)
        if self.state == "fails":
            raise StoreUnavailable("told to")


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def recorded(store: Store, clock: Clock) -> RecordedEvents:
    return RecordedEvents(store, CONFIG, clock=clock)


async def test_a_question_gets_the_users_events(recorded: RecordedEvents) -> None:
    query = await recorded.added_to(Query("u1", 10), None)

    assert query == Query(
        "u1", 10, options=Options(history=EVENTS.history, seen_item_ids=("a", "b", "c"))
    )


async def test_what_the_caller_says_is_newer(recorded: RecordedEvents) -> None:
    given = (HistoryEntry("a", 1.0), HistoryEntry("z"))

    query = await recorded.added_to(RankQuery("u1", ("i",), Options(history=given)), None)

    assert query.options.history == (EVENTS.history[1], *given)


@pytest.mark.parametrize("user_id", ["", "stranger", "u2"])
async def test_a_question_without_events_stays_as_plain_as_it_was(
    recorded: RecordedEvents, user_id: str
) -> None:
    query = Query(user_id, 10)

    assert await recorded.added_to(query, None) is query


@pytest.mark.parametrize("state", ["fails", "hangs"])
async def test_a_store_that_does_not_answer_costs_the_events_only(
    recorded: RecordedEvents, store: Store, state: str
) -> None:
    store.state = state

    query = await recorded.added_to(Query("u1", 10), None)

    assert query.options == Options(is_degraded=True)
    assert recorded.stats.degraded == 1


async def test_a_caller_in_a_hurry_gives_the_store_a_quarter_of_the_time(
    recorded: RecordedEvents, store: Store
) -> None:
    recorded._config = replace(CONFIG, read_timeout_ms=60_000)
    store.state = "hangs"

    async with asyncio.timeout(10):
        query = await recorded.added_to(Query("u1", 10), 0.04)

    assert query.options == Options(is_degraded=True)


async def test_an_answer_that_came_while_the_server_was_busy_is_used(
    recorded: RecordedEvents, store: Store
) -> None:
    store.state = "takes a moment"

    async def be_busy() -> None:
        while not store.asked:
            await asyncio.sleep(0)
        time.sleep(0.1)  # as a loaded event loop is, beyond the limit of 20 ms

    query, _ = await asyncio.gather(recorded.added_to(Query("u1", 10), None), be_busy())

    assert query.options == Options(history=EVENTS.history, seen_item_ids=("a", "b", "c"))


async def test_callers_in_a_hurry_do_not_make_a_store_count_as_down(
    recorded: RecordedEvents, store: Store
) -> None:
    store.state = "hangs"

    for _ in range(10):
        await recorded.added_to(Query("u1", 10), 0.004)

    assert recorded.is_available
    assert recorded.stats.degraded == 10


async def test_a_store_that_is_down_is_left_alone_until_a_probe_finds_it_back(
    recorded: RecordedEvents, store: Store, clock: Clock
) -> None:
    store.state = "fails"
    for _ in range(20):
        await recorded.added_to(Query("u1", 10), None)
    assert (store.asked, recorded.is_available) == (5, False)

    clock.now_s = 5.0
    await recorded.added_to(Query("u1", 10), None)
    await recorded.added_to(Query("u1", 10), None)
    assert store.asked == 6

    store.state = "answers"
    clock.now_s = 10.0
    query = await recorded.added_to(Query("u1", 10), None)

    assert query.options == Options(history=EVENTS.history, seen_item_ids=("a", "b", "c"))
    assert recorded.is_available
    assert (recorded.stats.reads, recorded.stats.degraded) == (23, 22)


@pytest.mark.parametrize("state", ["fails", "hangs"])
async def test_events_that_may_not_be_kept_are_refused(
    recorded: RecordedEvents, store: Store, state: str
) -> None:
    store.state = state

    with pytest.raises(StoreUnavailable, match=r"^events cannot be kept now$"):
        await recorded.record([event("e1")])


async def test_a_redis_that_stops_and_comes_back_costs_no_answer_and_no_event(
    tmp_path: Path,
) -> None:
    server, clock = RedisServer(tmp_path), Clock()
    config = replace(CONFIG, read_timeout_ms=2000, write_timeout_ms=200)
    recorded = RecordedEvents(redis_store(server.url, config), config, clock=clock)
    try:
        await recorded.record([event("e1", item="a", time_s=4e9)])

        recorded._config = replace(config, read_timeout_ms=50)
        server.process.send_signal(signal.SIGSTOP)
        slow = await recorded.added_to(Query("u1", 10), None)
        with pytest.raises(StoreUnavailable):
            await recorded.record([event("e2", item="b", time_s=4e9)])
        server.stop()
        down = await recorded.added_to(Query("u1", 10), None)
        server.start()
        recorded._config = config
        clock.now_s = 60.0
        back = await recorded.added_to(Query("u1", 10), None)
    finally:
        server.stop()
        await recorded.close()

    assert slow.options == down.options == Options(is_degraded=True)
    assert back.options is not None
    assert "a" in back.options.seen_item_ids
