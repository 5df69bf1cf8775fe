"""A version whose process ends: opened again, or given up for another, and never left behind."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from versions_world import Openings, answers, label, publish, refused, stable, states, until

from recserve_server.errors import LabelUnknown, NotReady
from recserve_server.models.labels import Labels
from recserve_server.models.refusal import Refusal
from recserve_server.models.store import ModelStore, NoModelError
from recserve_server.models.version import State

OpenStore = Callable[..., ModelStore]
LoadStore = Callable[..., Awaitable[ModelStore]]


def corrupt(tmp_path: Path, version: int) -> None:
    (tmp_path / "films" / str(version) / "users.arrow").write_bytes(b"x")


async def test_a_version_whose_process_ended_is_opened_again(
    load: LoadStore, openings: Openings
) -> None:
    store = await load(1)

    openings.runner(1).crash()
    await until(lambda: openings.open() == [1])
    await until(lambda: store.is_ready)

    assert openings.started == [1, 1]
    assert await answers(store) == 1
    assert states(store) == {1: State.SERVING}


async def test_until_it_is_there_again_the_server_is_not_ready(
    load: LoadStore, openings: Openings
) -> None:
    store = await load(1)
    gate = openings.hold(1)

    openings.runner(1).crash()
    await until(lambda: not store.is_ready)

    gate.set()
    await until(lambda: store.is_ready)
    assert await answers(store) == 1


async def test_a_canary_that_is_gone_leaves_its_users_to_the_stable_version(
    load: LoadStore, openings: Openings
) -> None:
    store = await load(1, 2)
    await label(store, Labels(stable=1, canary=2, canary_percent=100))
    gate = openings.hold(2)
    assert await answers(store) == 2

    openings.runner(2).crash()
    await until(lambda: not store.lineup().canary.is_answering)

    assert await answers(store) == 1
    assert store.is_ready
    gate.set()
    await until(lambda: store.lineup().canary.is_answering)
    assert await answers(store) == 2


async def test_a_version_that_cannot_be_opened_again_gives_way_to_the_one_before(
    tmp_path: Path, load: LoadStore, openings: Openings
) -> None:
    store = await load(1, 2)

    corrupt(tmp_path, 2)
    openings.runner(2).crash()
    await until(lambda: states(store)[2] is State.REFUSED)
    assert stable(store) == 0
    with pytest.raises(NotReady):
        await answers(store)
    await store.refresh()

    assert refused(store).refusal is Refusal.INCOMPLETE
    assert await answers(store) == 1
    store.require_stable()


async def test_a_version_that_cannot_be_opened_again_and_is_the_only_one_is_the_end(
    tmp_path: Path, load: LoadStore, openings: Openings
) -> None:
    store = await load(1)

    corrupt(tmp_path, 1)
    openings.runner(1).crash()
    await until(lambda: states(store)[1] is State.REFUSED)
    await store.refresh()

    with pytest.raises(NoModelError, match=r"the newest, 1: users\.arrow has 1 bytes"):
        store.require_stable()


async def test_a_canary_that_cannot_be_opened_again_is_none_any_more(
    tmp_path: Path, load: LoadStore, openings: Openings
) -> None:
    store = await load(1, 2)
    await label(store, Labels(stable=1, canary=2, canary_percent=100))

    corrupt(tmp_path, 2)
    openings.runner(2).crash()
    await until(lambda: store.lineup().canary is None)
    await store.refresh()

    assert await answers(store) == 1
    with pytest.raises(LabelUnknown):
        await answers(store, label="canary")


async def test_a_stable_version_that_is_lost_is_not_replaced_by_its_canary(
    tmp_path: Path, load: LoadStore, openings: Openings
) -> None:
    store = await load(1, 2)
    await label(store, Labels(stable=1, canary=2, canary_percent=5))

    corrupt(tmp_path, 1)
    openings.runner(1).crash()
    await until(lambda: states(store)[1] is State.REFUSED)
    await store.refresh()

    with pytest.raises(NoModelError, match="version 1 of films was refused"):
        store.require_stable()


async def test_a_version_that_is_retired_while_it_is_opened_again_leaves_nothing_behind(
    tmp_path: Path, load: LoadStore, openings: Openings
) -> None:
    store = await load(1)
    gate = openings.hold(1)
    openings.runner(1).crash()
    await until(lambda: openings.started == [1, 1])

    publish(tmp_path, 2)
    await store.refresh()
    assert await answers(store) == 2
    gate.set()

    await until(lambda: openings.open() == [2])
    await asyncio.sleep(0.05)  # time in which the first would be there again
    assert openings.open() == [2]


async def test_an_end_while_a_version_is_opened_again_leaves_nothing_behind(
    load: LoadStore, openings: Openings
) -> None:
    store = await load(1)
    gate = openings.hold(1)
    openings.runner(1).crash()
    await until(lambda: openings.started == [1, 1])

    await store.end()
    gate.set()
    await asyncio.sleep(0.05)  # time in which it would be there again

    assert openings.open() == []


async def test_a_version_lost_while_the_next_is_loaded_leaves_that_one_serving(
    tmp_path: Path, open_store: OpenStore, openings: Openings
) -> None:
    publish(tmp_path, 1, 2)
    gate = openings.hold(1)
    store = open_store("latest:2")
    loading = asyncio.create_task(store.load())
    await until(lambda: openings.started == [2, 1])

    corrupt(tmp_path, 2)
    openings.runner(2).crash()
    await until(lambda: states(store)[2] is State.REFUSED)
    gate.set()
    await loading

    assert await answers(store) == 1


async def test_a_version_whose_folder_is_gone_is_not_opened_again(
    tmp_path: Path, load: LoadStore, openings: Openings
) -> None:
    store = await load(1, 2)
    (tmp_path / "films" / "2").rename(tmp_path / "elsewhere")

    openings.runner(2).crash()
    await until(lambda: stable(store) == 0)
    await store.refresh()

    assert await answers(store) == 1
    assert openings.started == [2, 1]
