"""A new version takes over: in one step, with everybody answered by the version they came to."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from versions_world import (
    Openings,
    answers,
    hash_again,
    look,
    publish,
    refused,
    stable,
    states,
    until,
    write_golden,
)

from recserve_server.errors import NotReady, VersionRetired
from recserve_server.models.store import ModelStore
from recserve_server.models.version import State

OpenStore = Callable[..., ModelStore]
LoadStore = Callable[..., Awaitable[ModelStore]]


async def test_a_new_version_takes_over_and_the_old_one_is_freed(
    tmp_path: Path, load: LoadStore, openings: Openings
) -> None:
    store = await load(1)

    publish(tmp_path, 2)
    await store.refresh()

    assert await answers(store) == 2
    assert states(store) == {1: State.AVAILABLE, 2: State.SERVING}
    await until(lambda: openings.open() == [2])
    with pytest.raises(VersionRetired, match="version 2 does"):
        await answers(store, version=1)


async def test_while_a_version_is_loaded_the_old_one_answers(
    tmp_path: Path, load: LoadStore, openings: Openings
) -> None:
    store = await load(1)
    publish(tmp_path, 2)
    gate = openings.hold(2)

    swapping = asyncio.create_task(store.refresh())
    await until(lambda: 2 in openings.started)

    assert states(store)[2] is State.LOADING
    assert await answers(store) == 1
    assert store.is_ready
    gate.set()
    await swapping
    assert await answers(store) == 2


async def test_whoever_came_to_the_old_version_is_answered_by_it(
    tmp_path: Path, load: LoadStore, openings: Openings
) -> None:
    store = await load(1)
    publish(tmp_path, 2)
    held = store.lineup().route(0, "", "u0")

    with held as live:
        await store.refresh()
        assert stable(store) == 2
        await asyncio.sleep(0.05)  # time in which it would be freed

        assert openings.open() == [1, 2]
        assert live.version.number == 1
        assert not live.batcher.hanging
    await until(lambda: openings.open() == [2])


async def test_twenty_swaps_leave_one_version_in_memory(
    tmp_path: Path, load: LoadStore, openings: Openings
) -> None:
    store = await load(1)

    for version in range(2, 22):
        publish(tmp_path, version)
        await store.refresh()
        assert await answers(store) == version

    await until(lambda: openings.open() == [21])
    assert openings.most_open <= 3  # one that answers, one that is opened, one that is being freed
    assert openings.started == list(range(1, 22))
    assert store.stats.versions.loads["films", "loaded"] == 21


async def test_a_look_that_finds_nothing_new_changes_nothing(
    load: LoadStore, openings: Openings
) -> None:
    store = await load(1, 2)
    told: list[bool] = []
    store.on_change(lambda: told.append(store.is_ready))

    await look(store, 3)

    assert openings.started == [2]
    assert all(told)


async def test_an_older_version_that_appears_later_is_not_loaded(
    tmp_path: Path, load: LoadStore, openings: Openings
) -> None:
    store = await load(2)

    publish(tmp_path, 1)
    await store.refresh()

    assert await answers(store) == 2
    assert openings.started == [2]


async def test_a_listener_never_finds_the_server_without_a_version_during_a_swap(
    tmp_path: Path, load: LoadStore
) -> None:
    store = await load(1)
    told: list[tuple[int, bool]] = []
    store.on_change(lambda: told.append((stable(store), store.is_ready)))

    publish(tmp_path, 2)
    await store.refresh()

    assert (2, True) in told
    assert all(is_ready for _, is_ready in told)


async def test_a_version_that_vanishes_while_it_is_served_goes_on_and_is_listed(
    tmp_path: Path, open_store: OpenStore
) -> None:
    folder = publish(tmp_path, 1, 2)
    store = open_store()
    await store.load()

    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    await look(store, 2)

    assert await answers(store) == 2
    assert states(store) == {1: State.AVAILABLE, 2: State.SERVING}


async def test_a_version_that_vanishes_before_it_is_loaded_is_forgotten(
    tmp_path: Path, open_store: OpenStore
) -> None:
    folder = publish(tmp_path, 1, 2)
    write_golden(folder, as_version=9)
    store = open_store()
    await store.load()
    assert refused(store, 2)

    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    await store.refresh()

    assert states(store) == {1: State.SERVING}


async def test_a_swap_that_is_cancelled_leaves_the_old_version_and_can_be_had_again(
    tmp_path: Path, load: LoadStore, openings: Openings
) -> None:
    store = await load(1)
    publish(tmp_path, 2)
    gate = openings.hold(2)
    swapping = asyncio.create_task(store.refresh())
    await until(lambda: 2 in openings.started)

    swapping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await swapping

    assert await answers(store) == 1
    assert states(store)[2] is State.AVAILABLE
    gate.set()
    await store.refresh()
    assert await answers(store) == 2


async def test_after_the_end_nothing_is_left_and_nobody_is_answered(
    load: LoadStore, openings: Openings
) -> None:
    store = await load(1, 2, 3, policy="latest:2")

    await store.end()

    assert openings.open() == []
    with pytest.raises(NotReady):
        await answers(store)


async def test_a_version_published_over_a_refused_one_is_taken(
    tmp_path: Path, open_store: OpenStore
) -> None:
    folder = publish(tmp_path, 1, 2)
    write_golden(folder, as_version=9)
    store = open_store()
    await store.load()
    assert refused(store).golden_overlap is not None

    (folder / "golden.json").unlink()
    hash_again(folder)
    await store.refresh()  # it has changed
    assert stable(store) == 1
    await store.refresh()  # and stays as it is

    assert await answers(store) == 2
    assert store.version("films", 2).state_message == ""
    assert store.version("films", 2).refusal is None
