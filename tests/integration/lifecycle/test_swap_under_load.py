"""New versions while calls are answered: none fails, none mixes two versions, nothing is left."""

import asyncio
import threading
from pathlib import Path

import numpy as np
import pytest
from callers import NO_RETRIES, move_in, under_load, until
from numpy.typing import NDArray
from versions_world import USERS, best, label

from recserve_client import AsyncRecommenderClient, ModelRetiredError
from recserve_server.config import ServerConfig
from recserve_server.lifecycle import Server
from recserve_server.matrix_model import MatrixRetriever, open_matrix
from recserve_server.model import Found
from recserve_server.models.labels import Labels, is_canary_user
from recserve_server.testing import running_server


def batch_threads() -> int:
    """Returns how many models are in memory: each has a thread of its own."""
    return sum(thread.name == "batch" for thread in threading.enumerate())


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def stable(server: Server) -> int:
    live = server.store.lineup().stable
    return live.version.number if live else 0


async def test_twenty_new_versions_under_load_cost_no_call_and_leave_nothing(
    server: Server, config: ServerConfig
) -> None:
    async with under_load(server.address) as load:
        await until(lambda: load.answered > 100)
        threads, files = batch_threads(), open_files()
        for version in range(2, 22):
            move_in(config.models_dir, version)
            await until(lambda now=version: stable(server) == now)
            before = load.answered
            await until(lambda then=before: load.answered > then + 20)
        await until(lambda: batch_threads() == threads)

        assert open_files() <= files + 3

    assert load.failed == []
    assert load.wrong == []
    assert set(load.versions) >= {1, 21}
    assert len(load.versions) >= 20
    assert server.store.stats.versions.loads["films", "loaded"] == 21


class HeldRetriever(MatrixRetriever):
    """Waits at a gate, if there is one."""

    gate: threading.Event | None = None
    arrived = 0

    def retrieve(self, user_rows: NDArray[np.int32], k: int, excluded: NDArray[np.int32]) -> Found:
        answer = super().retrieve(user_rows, k, excluded)
        if self.gate is not None:
            self.arrived += len(user_rows)
            assert self.gate.wait(30)
        return answer


async def test_calls_under_way_finish_on_the_version_they_started_with(
    config: ServerConfig,
) -> None:
    opened: list[HeldRetriever] = []

    def open_held(folder: Path) -> HeldRetriever:
        opened.append(HeldRetriever(open_matrix(folder).scores))
        return opened[-1]

    async with (
        running_server(config, open_held) as server,
        AsyncRecommenderClient(server.address, timeout_s=20.0, config=NO_RETRIES) as client,
    ):
        threads = batch_threads()
        gate = opened[0].gate = threading.Event()
        running = asyncio.create_task(client.recommend("u0", k=5))
        await until(lambda: opened[0].arrived > 0)
        queued = [
            asyncio.create_task(client.recommend("u1", k=5)),
            asyncio.create_task(client.recommend_batch(["u2", "u3"], k=5)),
        ]
        await until(lambda: server.store.lineup().stable.batcher.queue_depth == 3)

        move_in(config.models_dir, 2)
        await until(lambda: stable(server) == 2)
        later = await client.recommend("u0", k=5)  # does not wait for those before it
        assert later.model_version == 2
        assert not running.done()
        assert batch_threads() == threads + 1
        gate.set()
        first = await running
        second, batch = await asyncio.gather(*queued)
        await until(lambda: batch_threads() == threads)

    for user, answer in enumerate([first, second, *batch]):
        assert answer.model_version == 1
        assert [item.item_id for item in answer] == best(1, user, 5)


async def test_a_batch_of_users_is_answered_each_by_their_own_version(server: Server) -> None:
    config_dir = server.location.path.parent.parent
    move_in(config_dir, 2)
    await label(server.store, Labels(stable=1, canary=2, canary_percent=35))
    async with AsyncRecommenderClient(server.address, timeout_s=20.0) as client:
        answers = await client.recommend_batch([f"u{user}" for user in range(USERS)] * 5, k=9)

    found = {answer.model_version for answer in answers}
    assert found == {1, 2}
    for answer in answers:
        is_canary = is_canary_user("films", 2, answer.user_id, 35)
        assert answer.model_version == (2 if is_canary else 1)
        user = int(answer.user_id[1:])
        assert [item.item_id for item in answer] == best(answer.model_version, user, 9)


async def test_pins_back_and_forth_under_load_cost_no_call(
    server: Server, config: ServerConfig
) -> None:
    move_in(config.models_dir, 2)
    await until(lambda: stable(server) == 2)
    async with under_load(server.address) as load:
        for version in [1, 2] * 5:
            await label(server.store, Labels(stable=version))
            before = load.answered
            await until(lambda then=before: load.answered > then + 20)
        await label(server.store, Labels(stable=2, canary=1, canary_percent=50))
        await label(server.store, Labels())
        await until(lambda: stable(server) == 2)

    assert load.failed == []
    assert load.wrong == []
    assert set(load.versions) == {1, 2}


async def test_a_version_that_is_asked_for_by_number_serves_until_it_is_retired(
    server: Server, config: ServerConfig
) -> None:
    async with AsyncRecommenderClient(server.address, timeout_s=20.0) as client:
        assert (await client.recommend("u0", model_version=1)).model_version == 1
        move_in(config.models_dir, 2)
        await until(lambda: stable(server) == 2)

        with pytest.raises(ModelRetiredError):
            await client.recommend("u0", model_version=1)
        assert (await client.recommend("u0", model_version=2)).model_version == 2
