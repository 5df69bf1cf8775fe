"""What the embedded store promises beyond others: that nothing is lost, and that it says no."""

import asyncio
import json
import resource
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from stores import CONFIG, event, sqlite_store

from recserve_server.errors import StoreUnavailable
from recserve_server.events.event import NO_EVENTS

# Records calls of three events each and tells which were accepted.
RECORDER = """
import asyncio, sys
from pathlib import Path
sys.path.append({folder!r})
from stores import event, sqlite_store

async def caller(store, name):
    for number in range(1_000_000):
        call = f"{{name}}-{{number}}"
        await store.append([event(f"{{call}}-{{i}}", user=name, item=call) for i in range(3)])
        print(call, flush=True)

async def main():
    store = sqlite_store(Path(sys.argv[1]))
    await store.open()
    await asyncio.gather(*(caller(store, f"u{{i}}") for i in range(8)))

asyncio.run(main())
"""


@pytest.mark.parametrize("told", [1, 40, 200])
def test_no_accepted_event_is_lost_when_the_process_is_killed(tmp_path: Path, told: int) -> None:
    code = RECORDER.format(folder=str(Path(__file__).parent))
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        accepted = {process.stdout.readline().strip() for _ in range(told)}
        process.kill()
        # What it told before it was killed counts; the last line may be half written.
        rest = process.stdout.read()
        accepted |= set(rest[: rest.rfind("\n") + 1].split())

    kept = counts_by_call(tmp_path)

    assert accepted <= set(kept)
    assert set(kept.values()) == {3}, "half a call was kept"


def counts_by_call(folder: Path) -> dict[str, int]:
    with sqlite3.connect(folder / "events.sqlite") as connection:
        return dict(connection.execute("SELECT item_id, count(*) FROM events GROUP BY item_id"))


async def test_events_are_there_after_a_restart(tmp_path: Path) -> None:
    first = sqlite_store(tmp_path)
    await first.open()
    await first.append([event("e1", item="i9")])
    await first.close()

    second = sqlite_store(tmp_path)
    await second.open()

    assert (await second.recent("u1")).seen_item_ids == ("i9",)
    assert await second.append([event("e1")]) == 0
    await second.close()


async def test_calls_that_arrive_together_share_a_commit(tmp_path: Path) -> None:
    store = sqlite_store(tmp_path)
    await store.open()
    commits = 0

    def count(statement: str) -> None:
        nonlocal commits
        commits += statement == "COMMIT"

    store._waiting.put(
        (lambda connection: connection.set_trace_callback(count) or 0, _Ignored(), set())
    )
    store._waiting.put((lambda _: time.sleep(0.2) or 0, _Ignored(), set()))

    await asyncio.gather(*(store.append([event(f"e{i}")]) for i in range(200)))

    assert commits <= 4
    await store.close()


class _Ignored:
    def set_result(self, _: object) -> None: ...


async def test_a_second_server_on_the_same_file_is_refused(tmp_path: Path) -> None:
    first = sqlite_store(tmp_path)
    await first.open()

    with pytest.raises(ValueError, match=r"events\.sqlite is in use by another server"):
        await sqlite_store(tmp_path).open()

    await first.close()
    again = sqlite_store(tmp_path)
    await again.open()
    await again.close()


@pytest.mark.parametrize("content", [b"no database, but text" * 100, b""], ids=["text", "empty"])
async def test_a_file_that_is_no_database_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "events.sqlite").write_bytes(content)
    store = sqlite_store(tmp_path)

    if not content:  # SQLite takes it for a new one
        await store.open()
        await store.close()
        return
    with pytest.raises(ValueError, match=r"cannot hold events: file is not a database"):
        await store.open()
    assert (tmp_path / "events.sqlite").read_bytes() == content


async def test_a_file_of_another_schema_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "events.sqlite") as connection:
        connection.executescript("CREATE TABLE events (a); PRAGMA user_version = 7;")

    with pytest.raises(ValueError, match=r"its schema has version 7, this server knows 1"):
        await sqlite_store(tmp_path).open()


FULL_DISK = """
import asyncio, json, resource, sys
from pathlib import Path
sys.path.append({folder!r})
from recserve_server.errors import StoreUnavailable
from recserve_server.events.event import NO_EVENTS
from stores import event, sqlite_store

async def main():
    store = sqlite_store(Path(sys.argv[1]))
    await store.open()
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
    accepted, refused = [], ""
    for number in range(2000):
        try:
            await store.append([event(f"e{{number}}", item="x" * 120)])
        except StoreUnavailable as error:
            refused = str(error)
            break
        accepted.append(f"e{{number}}")
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    await store.append([event("last")])
    await store.close()
    print(json.dumps([accepted, refused]))

asyncio.run(main())
"""


def test_a_full_disk_is_told_and_costs_nothing_that_was_accepted(tmp_path: Path) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    code = FULL_DISK.format(folder=str(Path(__file__).parent))

    ran = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )

    accepted, refused = json.loads(ran.stdout)
    assert refused.startswith("events cannot be written: ")
    with sqlite3.connect(tmp_path / "events.sqlite") as connection:
        kept = {event_id for (event_id,) in connection.execute("SELECT event_id FROM events")}
    assert kept == {*accepted, "last"}


async def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = sqlite_store(tmp_path)
    await store.open()
    await store.append([event("e1")])
    await store.close()

    with pytest.raises(StoreUnavailable, match="closed"):
        await store.append([event("e2")])
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.recent("u1")
    assert CONFIG.retention_days == 0


async def test_what_was_read_is_at_hand_until_it_changes(tmp_path: Path) -> None:
    store = sqlite_store(tmp_path)
    await store.open()
    assert store.at_hand("u1") == NO_EVENTS

    await store.append([event("e1", item="i1")])
    assert store.at_hand("u1") is None
    read = await store.recent("u1")
    assert store.at_hand("u1") is read

    await store.append([event("e2", item="i2"), event("e3", user="u2")])
    assert store.at_hand("u1") is None
    assert (await store.recent("u1")).seen_item_ids == ("i1", "i2")
    await store.close()


async def test_nobody_is_told_of_the_state_before_an_accepted_event(tmp_path: Path) -> None:
    store = sqlite_store(tmp_path)
    await store.open()

    async def read_on(until: asyncio.Event) -> None:
        while not until.is_set():
            await store.recent("u1")

    for number in range(200):
        accepted = asyncio.Event()
        readers = [asyncio.create_task(read_on(accepted)) for _ in range(2)]
        await store.append([event(f"e{number}", item=f"i{number}")])
        events = store.at_hand("u1") or await store.recent("u1")
        assert f"i{number}" in events.seen_item_ids
        accepted.set()
        await asyncio.gather(*readers)
    await store.close()
