"""Who is told at once that the wait would be too long."""

import asyncio

import pytest

from recserve_server.batching.batcher import MicroBatcher
from recserve_server.batching.terms import Priority, Terms
from recserve_server.config import BatchingConfig
from recserve_server.errors import DeadlineTooShort, Overloaded
from recserve_server.testing import ManualRunner

BATCH = Priority.BATCH
SOONEST_S = 1.25 * (1.0 + 1.0)
"""From when on the next batch, after the one under way, counts as done: a quarter is for error."""


class Slow:
    """A batcher whose last batch took 1 s, with one under way since now."""

    def __init__(self, max_queue_delay_ms: float) -> None:
        config = BatchingConfig(
            max_batch_size=4,
            batch_timeout_micros=0,
            max_enqueued=64,
            max_queue_delay_ms=max_queue_delay_ms,
        )
        self.now_s, self.runner, self.tasks = 0.0, ManualRunner(), []
        self.batcher = MicroBatcher(self.runner, config, clock=lambda: self.now_s)

    async def start(self) -> "Slow":
        await self.ask()
        await self.finish(after_s=1.0)
        await self.ask()
        return self

    async def ask(self, count: int = 1, **terms: object) -> None:
        """Lets so many callers queue up."""
        for _ in range(count):
            self.tasks.append(asyncio.create_task(self.batcher.submit(1, Terms(**terms))))
            await asyncio.sleep(0)

    async def finish(self, after_s: float) -> None:
        self.now_s += after_s
        self.runner.finish()
        await asyncio.sleep(0)

    async def end(self) -> None:
        while self.runner.is_running:
            await self.finish(after_s=0.0)
        assert await asyncio.gather(*self.tasks) == [2] * len(self.tasks)


@pytest.fixture
async def slow():
    slow = await Slow(max_queue_delay_ms=0).start()
    yield slow
    await slow.end()


@pytest.fixture
async def bounded():
    """One where nobody may wait longer than 2.5 s."""
    bounded = await Slow(max_queue_delay_ms=2500).start()
    yield bounded
    await bounded.end()


@pytest.mark.parametrize("timeout_s", [0.9, 1.1, 2.1, SOONEST_S - 0.001])
async def test_a_batch_that_would_begin_in_time_and_not_end_in_time_is_too_late(
    slow: object, timeout_s: float
) -> None:
    with pytest.raises(DeadlineTooShort, match=r"2500\.0 ms"):
        await slow.batcher.submit(1, Terms(timeout_s=timeout_s))

    await slow.ask(timeout_s=SOONEST_S)


async def test_a_tenant_of_its_own_does_not_wait_for_all_of_a_flood(slow: object) -> None:
    await slow.ask(40, tenant="flood")

    await slow.ask(tenant="other", timeout_s=SOONEST_S)

    with pytest.raises(DeadlineTooShort, match=r"15000\.0 ms"):
        await slow.batcher.submit(1, Terms(tenant="flood", timeout_s=SOONEST_S))


async def test_the_more_a_tenant_has_waiting_the_longer_it_waits(slow: object) -> None:
    await slow.ask(40, tenant="flood")
    await slow.ask(2, tenant="other", timeout_s=SOONEST_S)

    with pytest.raises(DeadlineTooShort, match=r"3750\.0 ms"):
        await slow.batcher.submit(1, Terms(tenant="other", timeout_s=SOONEST_S))


async def test_batch_work_is_expected_to_wait_for_all_interactive_work(slow: object) -> None:
    await slow.ask(8)

    with pytest.raises(DeadlineTooShort, match=r"5000\.0 ms"):
        await slow.batcher.submit(1, Terms(priority=BATCH, timeout_s=4.9))


async def test_interactive_work_does_not_wait_for_batch_work(slow: object) -> None:
    await slow.ask(40, priority=BATCH)

    await slow.ask(timeout_s=SOONEST_S)


async def test_a_group_is_expected_to_wait_for_the_batch_of_its_last_request(slow: object) -> None:
    await slow.ask(1)

    with pytest.raises(DeadlineTooShort, match=r"3750\.0 ms"):
        await slow.batcher.submit_group([1, 2, 3, 4], Terms(timeout_s=SOONEST_S))


async def test_a_longer_wait_than_any_may_be_is_refused_and_told_when_to_return(
    bounded: object,
) -> None:
    await bounded.ask(8)

    with pytest.raises(Overloaded) as caught:
        await bounded.batcher.submit(1)

    assert caught.value.retry_after_s == pytest.approx(0.5)
    assert bounded.batcher.stats.refused == {"QUEUE_FULL": 1}


async def test_the_bound_of_the_wait_is_that_of_each_tenant(bounded: object) -> None:
    await bounded.ask(8, tenant="flood")

    await bounded.ask(tenant="other")


async def test_without_a_bound_nobody_is_refused_for_the_wait(slow: object) -> None:
    await slow.ask(63)

    assert slow.batcher.queue_depth == 63


async def test_a_batch_that_was_slow_by_chance_keeps_nobody_out(bounded: object) -> None:
    await bounded.finish(after_s=60.0)
    await bounded.ask()

    await bounded.ask(3)
    await bounded.ask(timeout_s=SOONEST_S)


async def test_a_model_that_has_become_slow_does_not_keep_everybody_out(bounded: object) -> None:
    for _ in range(2):
        await bounded.finish(after_s=60.0)
        await bounded.ask()
    assert bounded.batcher.queue_depth == 0  # the third one runs

    await bounded.ask()  # nobody is before it
    with pytest.raises(Overloaded, match=r"is estimated at 60000\.0 ms"):
        await bounded.batcher.submit(1)

    for _ in range(2):
        await bounded.finish(after_s=0.001)
        await bounded.ask()
    await bounded.ask(5)
