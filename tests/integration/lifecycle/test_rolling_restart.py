"""Three replicas restarted one after another, while a client with retries asks all of them."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from callers import move_in, under_load, until
from server_programs import Program, free_port, program
from versions_world import publish

from recserve_client import AsyncRecommenderClient, ChannelConfig, HealthStatus, RecommenderError

pytestmark = pytest.mark.long

CALLERS = 6
FLAGS = ("--drain-delay", 1.5, "--grace", 10)


@dataclass
class Replica:
    """One of several servers, at the same address after each restart."""

    folder: Path
    address: str = field(default_factory=lambda: f"127.0.0.1:{free_port()}")
    program: Program | None = None
    _running: ExitStack = field(default_factory=ExitStack)

    def start(self) -> None:
        running = program(self.folder, *FLAGS, batch_s=0.002, address=self.address)
        self.program = self._running.enter_context(running)
        self.program.wait_until_serving()

    def stop(self) -> int:
        """Ends it as an orchestrator does; returns the exit code."""
        assert self.program is not None
        code = self.program.stop(signal.SIGTERM)
        self._running.close()
        return code

    def kill(self) -> None:
        assert self.program is not None
        self.program.process.kill()
        self._running.close()


@contextmanager
def replicas(folder: Path) -> Iterator[list[Replica]]:
    publish(folder / "models", 1)
    three = [Replica(folder) for _ in range(3)]
    try:
        for each in three:
            each.start()
        yield three
    finally:
        for each in three:
            each._running.close()


async def is_serving(address: str) -> bool:
    async with AsyncRecommenderClient(address, timeout_s=5.0) as client:
        try:
            return await client.check_health() is HealthStatus.SERVING
        except RecommenderError:
            return False


@pytest.mark.timeout(300)
async def test_a_rolling_restart_to_a_new_version_loses_no_call(tmp_path: Path) -> None:
    with replicas(tmp_path) as three:
        addresses = [each.address for each in three]
        async with under_load(*addresses, callers=CALLERS, config=ChannelConfig()) as load:
            await until(lambda: load.answered > 100)
            move_in(tmp_path / "models", 2)
            for each in three:
                assert await asyncio.to_thread(each.stop) == 0
                await asyncio.to_thread(each.start)
                await until(lambda at=each.address: is_serving(at))
                before = load.answered
                await until(lambda then=before: load.answered > then + 100)
            await until(lambda: load.versions[2] > 100)

    assert load.failed == []
    assert load.wrong == []
    assert set(load.versions) == {1, 2}


@pytest.mark.timeout(300)
async def test_a_replica_that_is_killed_costs_no_more_than_what_it_was_answering(
    tmp_path: Path,
) -> None:
    with replicas(tmp_path) as three:
        addresses = [each.address for each in three]
        async with under_load(*addresses, callers=CALLERS, config=ChannelConfig()) as load:
            await until(lambda: load.answered > 100)
            for each in three:
                await asyncio.to_thread(each.kill)
                before = load.answered
                await until(lambda then=before: load.answered > then + 50)
                await asyncio.to_thread(each.start)
                await until(lambda at=each.address: is_serving(at))

    # gRPC does not ask again once the beginning of an answer has arrived.
    assert len(load.failed) <= len(three) * CALLERS
    assert all(each.startswith("UnavailableError") for each in load.failed)
    assert load.wrong == []
