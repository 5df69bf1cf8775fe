"""A bad version beside a good one: callers, health and metrics of a running server."""

import asyncio
import shutil
import threading
from pathlib import Path

import grpc
import pytest
from callers import under_load, until
from grpc_health.v1 import health_pb2, health_pb2_grpc
from spoiled_versions import CASES, Case
from versions_world import publish

from recserve_client import AsyncRecommenderClient, ModelState
from recserve_server.config import ServerConfig
from recserve_server.lifecycle import Server
from recserve_server.matrix_model import MatrixRetriever, open_matrix
from recserve_server.models.version import State
from recserve_server.testing import running_server

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def state(server: Server, version: int) -> State | None:
    found = {each.number: each.state for each in server.store.versions()}
    return found.get(version)


class Watched:
    """Every status that health tells while the context lasts."""

    def __init__(self, address: str) -> None:
        self.statuses: list[int] = []
        self._channel = grpc.aio.insecure_channel(address)

    async def __aenter__(self) -> "Watched":
        call = health_pb2_grpc.HealthStub(self._channel).Watch(health_pb2.HealthCheckRequest())
        self._watching = asyncio.create_task(self._watch(call))
        await until(lambda: bool(self.statuses))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._watching.cancel()
        await asyncio.wait((self._watching,))
        await self._channel.close()

    async def _watch(self, call: "grpc.aio.UnaryStreamCall") -> None:
        async for answer in call:
            self.statuses.append(answer.status)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_a_bad_version_costs_no_call_and_health_stays_serving(
    server: Server, config: ServerConfig, case: Case
) -> None:
    made = publish(config.models_dir.parent / "made", 2)
    case.spoil(made)
    async with (
        Watched(server.address) as watched,
        under_load(server.address, callers=4) as load,
    ):
        await until(lambda: load.answered > 5)
        made.rename(config.models_dir / "films" / "2")
        await until(lambda: state(server, 2) is State.REFUSED)
        refused_at = load.answered
        await until(lambda: load.answered > refused_at + 5)
        models = await load.client.list_models()

    assert watched.statuses == [SERVING]
    assert load.failed == []
    assert load.wrong == []
    assert set(load.versions) == {1}
    assert [(each.version, each.state) for each in models] == [
        (2, ModelState.REFUSED),
        (1, ModelState.SERVING),
    ]
    assert case.reason in models[0].state_message
    assert models[0].load_time is None


async def test_a_version_that_is_copied_file_by_file_is_served_without_a_restart(
    server: Server, config: ServerConfig
) -> None:
    made = publish(config.models_dir.parent / "made", 2)
    target = config.models_dir / "films" / "2"
    target.mkdir()
    async with Watched(server.address) as watched, under_load(server.address, callers=4) as load:
        await until(lambda: state(server, 2) is State.REFUSED)
        # In whatever order a copying program goes, the manifest first included.
        for path in sorted(made.iterdir(), key=lambda each: each.name != "manifest.json"):
            shutil.copy(path, target)
            looked = load.answered
            await until(lambda then=looked: load.answered > then + 10)
        await until(lambda: state(server, 2) is State.SERVING)
        await until(lambda: load.versions[2] > 5)

    assert watched.statuses == [SERVING]
    assert load.failed == []
    assert load.wrong == []


async def test_a_lost_model_is_told_by_health_and_so_is_its_return(config: ServerConfig) -> None:
    may_open = threading.Event()
    may_open.set()

    def open_when_told(folder: Path) -> MatrixRetriever:
        assert may_open.wait(30)
        return open_matrix(folder)

    publish(config.models_dir, 2)
    async with (
        running_server(config, open_when_told) as server,
        Watched(server.address) as watched,
        AsyncRecommenderClient(server.address, timeout_s=20.0) as client,
    ):
        may_open.clear()
        (config.models_dir / "films" / "2" / "users.arrow").write_bytes(b"x")
        server.store.lineup().stable.runner.close()  # as a process ends that was killed
        await until(lambda: watched.statuses[-1] == NOT_SERVING)
        may_open.set()
        await until(lambda: watched.statuses[-1] == SERVING)

        assert (await client.recommend("u0")).model_version == 1
        assert (await client.get_model("films", 2)).state is ModelState.REFUSED

    assert watched.statuses[:3] == [SERVING, NOT_SERVING, SERVING]
