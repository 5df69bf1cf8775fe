"""What both stores promise, against a dictionary."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stores import CONFIG, RedisServer, event, redis_store, sqlite_store

from recserve_server.config import EventsConfig
from recserve_server.events.event import Event, EventKind, UserEvents
from recserve_server.events.store import EventStore

Make = Callable[[EventsConfig], EventStore]


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "redis"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    if request.param == "sqlite":
        return lambda config: sqlite_store(tmp_path, config)
    server = request.getfixturevalue("redis_server")

    def flushed(config: EventsConfig) -> EventStore:
        import redis

        redis.Redis(unix_socket_path=str(server.socket)).flushall()
        return redis_store(server.url, config)

    return flushed


@pytest.fixture
async def store(make: Make) -> AsyncIterator[EventStore]:
    opened = make(CONFIG)
    await opened.open()
    yield opened
    await opened.close()


async def test_an_event_is_found_once_it_was_recorded(store: EventStore) -> None:
    assert await store.append([event("e1", item="i7")]) == 1

    assert (await store.recent("u1")).seen_item_ids == ("i7",)
    assert (await store.recent("u2")).seen_item_ids == ()


async def test_an_event_sent_again_changes_nothing(store: EventStore) -> None:
    await store.append([event("e1", item="i1")])

    count = await store.append(
        [event("e1", item="i2"), event("e2", item="i3"), event("e2", item="i4")]
    )

    assert count == 1
    assert (await store.recent("u1")).seen_item_ids == ("i1", "i3")


async def test_only_the_newest_events_of_a_user_count(make: Make) -> None:
    store = make(replace(CONFIG, max_per_user=2))
    await store.open()

    await store.append([event(f"e{i}", item=f"i{i}", time_s=10.0 * i) for i in (3, 1, 2)])

    assert (await store.recent("u1")).seen_item_ids == ("i2", "i3")
    await store.close()


async def test_old_events_do_not_count(make: Make) -> None:
    store = make(replace(CONFIG, retention_days=1))
    store._clock = lambda: 200_000.0
    await store.open()

    await store.append([event("old", item="i1", time_s=1000.0)])
    await store.append([event("new", item="i2", time_s=190_000.0)])

    assert (await store.recent("u1")).seen_item_ids == ("i2",)
    await store.close()


async def test_a_user_can_be_forgotten(store: EventStore) -> None:
    await store.append([event("e1"), event("e2", item="i2"), event("e3", user="u2")])

    assert await store.forget("u1") == 2

    assert (await store.recent("u1")).seen_item_ids == ()
    assert (await store.recent("u2")).seen_item_ids == ("i1",)


async def test_calls_at_the_same_time_are_all_recorded(store: EventStore) -> None:
    calls = [
        [event(f"e{call}-{i}", user=f"u{call % 7}", item=f"i{i}") for i in range(3)]
        for call in range(100)
    ]

    counts = await asyncio.gather(*map(store.append, calls))

    assert counts == [3] * 100


EVENTS = st.builds(
    event,
    st.integers(0, 20).map("e{}".format),
    st.integers(0, 2).map("u{}".format),
    st.integers(0, 5).map("i{}".format),
    st.sampled_from([EventKind.VIEW, EventKind.CLICK, EventKind.LIKE]),
    time_s=st.integers(1, 5).map(float),
)


async def test_any_sequence_of_calls_leaves_what_a_dictionary_would_hold(make: Make) -> None:
    loop = asyncio.get_running_loop()

    async def both(calls: list[list[Event]]) -> None:
        store, held = make(CONFIG), {}
        await store.open()
        for user in ("u0", "u1", "u2"):
            await store.forget(user)
        for number, call in enumerate(calls):
            # Ids are used up for good, and one store serves all examples.
            call = [replace(each, event_id=f"{id(calls)}-{each.event_id}") for each in call]
            new = {}
            for each in call:
                if each.event_id not in held:
                    new.setdefault(each.event_id, each)
            held |= new
            assert await store.append(call) == len(new), number
        for user in ("u0", "u1", "u2"):
            mine = [each for each in held.values() if each.user_id == user]
            found = await store.recent(user)
            assert set(found.seen_item_ids) == {each.item_id for each in mine}
            taken = {each.item_id for each in mine if each.kind is not EventKind.VIEW}
            assert {each.item_id for each in found.history} == taken
        await store.close()

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.lists(EVENTS, min_size=1, max_size=5), max_size=5))
    def compare(calls: list[list[Event]]) -> None:
        asyncio.run_coroutine_threadsafe(both(calls), loop).result(30)

    await asyncio.to_thread(compare)


def test_a_users_events_are_summed_up_in_the_order_of_time() -> None:
    events = [
        event("1", item="a", kind=EventKind.RATING, rating=4),
        event("2", item="b", kind=EventKind.VIEW),
        event("3", item="c"),
        event("4", item="a", kind=EventKind.CLICK),
        event("5", item="c", kind=EventKind.RATING, rating=1),
    ]

    summed = UserEvents.of(events)

    assert summed.seen_item_ids == ("a", "b", "c")
    assert [(each.item_id, each.rating) for each in summed.history] == [("a", 4), ("c", 1)]
    assert math.isnan(UserEvents.of(events[2:3]).history[0].rating)
