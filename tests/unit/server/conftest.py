import asyncio
import sys
from pathlib import Path

import pytest

from recserve_server.batching.batcher import MicroBatcher
from recserve_server.batching.terms import Terms
from recserve_server.config import BatchingConfig
from recserve_server.testing import ManualRunner

sys.path.append(str(Path(__file__).parent))  # for stores.py

CONFIG = BatchingConfig(max_batch_size=4, max_enqueued=8, watchdog_s=30.0)


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Bench:
    """A batcher, the runner under it and the clock beside it."""

    def __init__(self, config: BatchingConfig = CONFIG) -> None:
        self.clock, self.runner = Clock(), ManualRunner()
        self.batcher: MicroBatcher[int, int] = MicroBatcher(self.runner, config, clock=self.clock)

    async def ask(self, *numbers: int, **terms: object) -> "asyncio.Task[list[int]]":
        """Lets a caller queue up."""
        task = asyncio.create_task(self._answers(numbers, Terms(**terms)))
        await asyncio.sleep(0)
        return task

    async def _answers(self, numbers: tuple[int, ...], terms: Terms) -> list[int]:
        return list(await self.batcher.submit_group(numbers, terms))

    async def finish(self) -> None:
        """Ends the batch under way and lets everybody act on it."""
        self.runner.finish()
        await self.turns()

    async def turns(self, count: int = 5) -> None:
        """Lets the event loop turn."""
        for _ in range(count):
            await asyncio.sleep(0)

    async def warm(self, callers: int, batch_s: float) -> None:
        """Has `callers` answered by one batch that takes `batch_s`, after one of one."""
        tasks = [await self.ask(number) for number in range(1, callers + 2)]
        await self.finish()
        self.clock.now_s += batch_s
        await self.finish()
        await asyncio.gather(*tasks)
        assert [len(batch) for batch in self.runner.batches] == [1, callers]
        self.runner.batches.clear()


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def impatient_bench() -> Bench:
    """One whose callers wait for company for 0.5 ms at the most."""
    return Bench(BatchingConfig(max_batch_size=4, max_enqueued=8, batch_timeout_micros=500))
