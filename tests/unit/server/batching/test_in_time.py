"""Whoever is let in is answered in time, as long as batches take what those before took."""

import asyncio
import contextlib
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from recserve_server.batching.batcher import MicroBatcher
from recserve_server.batching.terms import Terms
from recserve_server.config import BatchingConfig
from recserve_server.errors import DeadlineTooShort
from recserve_server.testing import ManualRunner

BATCH_S, BATCH_SIZE, TICK_S = 1.0, 4, 0.25
CONFIG = BatchingConfig(
    max_batch_size=BATCH_SIZE, batch_timeout_micros=0, max_enqueued=64, max_queue_delay_ms=0
)


class Clockwork(ManualRunner):
    """Takes a second for every batch, on a clock of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = self.end_s = 0.0

    def start(self, requests, done) -> None:
        self.end_s = self.now_s + BATCH_S
        super().start(requests, done)

    async def tick(self) -> None:
        self.now_s += TICK_S
        if self.is_running and self.now_s >= self.end_s:
            self.finish()
        for _ in range(3):
            await asyncio.sleep(0)


async def spare_times(arrivals: Iterable[tuple[int, float]]) -> list[float]:
    """Returns how long before its deadline each answer came; others were refused at once.

    Each caller arrives some ticks after the one before and waits for some seconds.
    """
    clock, spare_s = Clockwork(), []
    batcher = MicroBatcher(clock, CONFIG, clock=lambda: clock.now_s)

    async def ask(timeout_s: float) -> None:
        deadline_s = clock.now_s + timeout_s
        with contextlib.suppress(DeadlineTooShort):
            await batcher.submit(1, Terms(timeout_s=timeout_s))
            spare_s.append(deadline_s - clock.now_s)

    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(ask(BATCH_S))]  # tells what a batch takes
        for ticks, timeout_s in [(8, BATCH_S), *arrivals]:
            for _ in range(ticks):
                await clock.tick()
            asked.append(group.create_task(ask(timeout_s)))
            await asyncio.sleep(0)
        while not all(each.done() for each in asked):
            await clock.tick()
    return spare_s


@given(st.lists(st.tuples(st.integers(0, 4), st.floats(BATCH_S, 9.0)), max_size=60))
def test_nobody_who_is_let_in_is_answered_too_late(arrivals: list[tuple[int, float]]) -> None:
    assert all(each >= 0.0 for each in asyncio.run(spare_times(arrivals)))


def test_a_flood_gets_all_that_the_model_can_do() -> None:
    seconds = 10
    flood = [(number % 10 == 0, 5.0) for number in range(int(10 * seconds / TICK_S))]

    spare_s = asyncio.run(spare_times(flood))

    assert len(spare_s) >= seconds * BATCH_SIZE / BATCH_S
    assert min(spare_s) >= 0.0
