"""What becomes of a refused version later: copied to its end, told to try again, passed over."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from versions_world import (
    Openings,
    answers,
    look,
    publish,
    refused,
    stable,
    states,
    until,
    write_golden,
)

from recserve_server.models import memory
from recserve_server.models.refusal import Refusal
from recserve_server.models.store import ModelStore
from recserve_server.models.version import State

OpenStore = Callable[..., ModelStore]
LoadStore = Callable[..., Awaitable[ModelStore]]


async def test_a_version_that_is_being_copied_is_taken_once_it_is_all_there(
    tmp_path: Path, load: LoadStore, openings: Openings
) -> None:
    source = publish(tmp_path / "elsewhere", 2)
    store = await load(1, name="films")
    target = tmp_path / "films" / "2"
    target.mkdir()

    for path in sorted(source.iterdir(), key=lambda each: each.name == "manifest.json"):
        content = path.read_bytes()
        for part in (content[: len(content) // 2], content):
            (target / path.name).write_bytes(part)
            await store.refresh()
            assert await answers(store) == 1
    await store.refresh()

    assert await answers(store) == 2
    assert openings.started == [1, 2]


async def test_what_is_still_being_written_is_not_tried_at_every_look(
    tmp_path: Path, open_store: OpenStore
) -> None:
    publish(tmp_path, 1)
    folder = publish(tmp_path, 2)
    (folder / "users.arrow").unlink()
    store = open_store()
    await store.load()

    for size in range(1, 6):
        (folder / "users.arrow").write_bytes(b"x" * size)
        await store.refresh()

    assert store.stats.versions.refused["films", "incomplete"] == 1


async def test_a_version_refused_for_what_may_pass_is_tried_again_when_told_to(
    tmp_path: Path, open_store: OpenStore, openings: Openings
) -> None:
    publish(tmp_path, 1)
    write_golden(publish(tmp_path, 2), as_version=9)
    store = open_store()
    await store.load()
    await look(store, 3)
    assert openings.started == [2, 1]

    await store.refresh(again=True)

    assert openings.started == [2, 1, 2]
    assert await answers(store) == 1


async def test_a_version_that_asks_for_more_memory_than_there_is_stays_out(
    tmp_path: Path, load: LoadStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await load(1)
    monkeypatch.setattr(memory, "bytes_available", lambda: 10 << 20)

    publish(tmp_path, 2)
    await store.refresh()

    version = refused(store)
    assert version.refusal is Refusal.NO_MEMORY
    assert version.state_message.endswith(
        "10 MiB are available; --memory-policy frugal frees the old version first"
    )
    assert await answers(store) == 1
    monkeypatch.undo()
    await store.refresh(again=True)
    assert await answers(store) == 2


async def test_a_server_that_has_nothing_loaded_tries_whatever_the_memory(
    tmp_path: Path, open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "bytes_available", lambda: 0)
    publish(tmp_path, 1)
    store = open_store()

    await store.load()

    assert await answers(store) == 1


async def test_a_version_whose_process_cannot_be_started_is_refused(
    tmp_path: Path, load: LoadStore, openings: Openings
) -> None:
    store = await load(1)
    openings.failures[2] = OSError(12, "Cannot allocate memory")

    publish(tmp_path, 2)
    await store.refresh()

    assert refused(store).refusal is Refusal.FAILED
    assert "Cannot allocate memory" in refused(store).state_message
    assert await answers(store) == 1


async def test_a_refused_version_does_not_stand_in_the_way_of_the_next(
    tmp_path: Path, open_store: OpenStore
) -> None:
    publish(tmp_path, 1)
    write_golden(publish(tmp_path, 2), as_version=9)
    store = open_store()
    await store.load()

    publish(tmp_path, 3)
    await store.refresh()

    assert await answers(store) == 3
    assert states(store) == {1: State.AVAILABLE, 2: State.REFUSED, 3: State.SERVING}


async def test_what_is_no_file_hangs_nobody(tmp_path: Path, load: LoadStore) -> None:
    store = await load(1)
    folder = publish(tmp_path, 2)
    (folder / "manifest.json").unlink()
    os.mkfifo(folder / "manifest.json")
    looking = asyncio.create_task(store.refresh())
    try:
        await until(looking.done, timeout_s=5)
    finally:
        # Whoever waits at it is let go, so that the test itself ends.
        os.close(os.open(folder / "manifest.json", os.O_RDWR | os.O_NONBLOCK))

    assert refused(store).refusal in (Refusal.TAMPERED, Refusal.INCOMPLETE)
    assert stable(store) == 1
