import asyncio
import threading
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recserve_server.batching import MicroBatcher
from recserve_server.config import BatchingConfig
from recserve_server.errors import (
    DeadlineTooShort,
    ExpiredInQueue,
    ModelFailed,
    NotReady,
    QueueFull,
)

CONFIG = BatchingConfig(max_batch_size=4, max_enqueued=8)


class Doubler:
    """Doubles numbers; while closed, a batch waits at the gate."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, numbers: Sequence[int]) -> list[int]:
        self.batches.append(list(numbers))
        assert self.gate.wait(10)
        if -1 in numbers:
            raise RuntimeError("told to fail")
        return [2 * number for number in numbers]


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


async def in_flight(batcher: MicroBatcher[int, int], doubler: Doubler, number: int = 0):
    """Starts a request and waits until its batch is at the gate."""
    doubler.gate.clear()
    task = asyncio.create_task(batcher.submit(number))
    while not doubler.batches:
        await asyncio.sleep(0.001)
    return task


async def queued(batcher: MicroBatcher[int, int], number: int, timeout_s: float | None = None):
    """Starts a request and lets it enter the queue."""
    task = asyncio.create_task(batcher.submit(number, timeout_s=timeout_s))
    await asyncio.sleep(0)
    return task


async def test_a_lone_request_is_answered_by_a_batch_of_one() -> None:
    doubler = Doubler()

    assert await MicroBatcher(doubler, CONFIG).submit(21) == 42
    assert doubler.batches == [[21]]


async def test_what_arrives_during_a_batch_forms_the_next_up_to_its_limit() -> None:
    doubler = Doubler()
    batcher = MicroBatcher(doubler, CONFIG)
    first = await in_flight(batcher, doubler)
    rest = [await queued(batcher, number) for number in range(1, 7)]

    doubler.gate.set()

    assert await asyncio.gather(first, *rest) == [0, 2, 4, 6, 8, 10, 12]
    assert doubler.batches == [[0], [1, 2, 3, 4], [5, 6]]


async def test_a_full_queue_refuses_at_once_and_says_when_to_return() -> None:
    doubler = Doubler()
    batcher = MicroBatcher(doubler, CONFIG)
    first = await in_flight(batcher, doubler)
    waiting = [await queued(batcher, number) for number in range(CONFIG.max_enqueued)]

    with pytest.raises(QueueFull) as caught:
        await batcher.submit(9)

    assert caught.value.retry_after_s > 0
    doubler.gate.set()
    await asyncio.gather(first, *waiting)


async def test_work_whose_deadline_passed_in_the_queue_is_not_computed() -> None:
    doubler, clock = Doubler(), Clock()
    batcher = MicroBatcher(doubler, CONFIG, clock=clock)
    first = await in_flight(batcher, doubler)
    late = await queued(batcher, 1, timeout_s=1.0)
    in_time = await queued(batcher, 2, timeout_s=3.0)

    clock.now_s = 2.0
    doubler.gate.set()

    with pytest.raises(ExpiredInQueue, match=r"2000\.0 ms"):
        await late
    assert await in_time == 4
    assert await first == 0
    assert doubler.batches == [[0], [2]]


async def test_cancelled_work_is_not_computed_and_frees_its_place() -> None:
    doubler = Doubler()
    batcher = MicroBatcher(doubler, CONFIG)
    first = await in_flight(batcher, doubler)
    waiting = [await queued(batcher, number) for number in range(1, CONFIG.max_enqueued + 1)]

    waiting[0].cancel()
    await asyncio.wait([waiting[0]])
    replacement = await queued(batcher, 9)
    doubler.gate.set()

    assert await asyncio.gather(first, *waiting[1:], replacement) == [
        2 * number for number in (0, 2, 3, 4, 5, 6, 7, 8, 9)
    ]
    assert not any(1 in batch for batch in doubler.batches)


async def test_cancelling_a_request_in_a_running_batch_leaves_the_others_alone() -> None:
    doubler = Doubler()
    batcher = MicroBatcher(doubler, CONFIG)
    first = await in_flight(batcher, doubler)
    pair = [await queued(batcher, 1), await queued(batcher, 2)]
    doubler.gate.set()
    await first
    doubler.gate.clear()
    while len(doubler.batches) < 2:
        await asyncio.sleep(0.001)

    pair[0].cancel()
    await asyncio.wait([pair[0]])
    doubler.gate.set()

    assert pair[0].cancelled()
    assert await pair[1] == 4


async def test_a_failing_batch_fails_its_members_and_the_next_one_works() -> None:
    doubler = Doubler()
    batcher = MicroBatcher(doubler, CONFIG)

    with pytest.raises(ModelFailed):
        await batcher.submit(-1)

    assert await batcher.submit(3) == 6


async def test_a_deadline_shorter_than_the_estimated_wait_is_refused_at_once() -> None:
    doubler, clock = Doubler(), Clock()
    batcher = MicroBatcher(doubler, CONFIG, clock=clock)
    first = await in_flight(batcher, doubler)
    clock.now_s = 1.0
    doubler.gate.set()
    await first  # a batch takes 1 s, then
    doubler.gate.clear()
    running = await queued(batcher, 1)
    while len(doubler.batches) < 2:
        await asyncio.sleep(0.001)

    with pytest.raises(DeadlineTooShort, match=r"500\.0 ms away.*1000\.0 ms"):
        await batcher.submit(2, timeout_s=0.5)
    full = [await queued(batcher, number, timeout_s=1.5) for number in range(4)]
    with pytest.raises(DeadlineTooShort, match=r"2000\.0 ms"):
        await batcher.submit(2, timeout_s=1.5)
    clock.now_s = 2.0
    after = await queued(batcher, 5, timeout_s=1.5)

    doubler.gate.set()
    assert await asyncio.gather(running, *full, after) == [2, 0, 2, 4, 6, 10]
    assert await batcher.submit(6, timeout_s=0.001) == 12  # nothing runs, so nothing is waited for


@pytest.mark.parametrize("bad", range(4))
async def test_a_bad_request_in_a_batch_fails_alone(bad: int) -> None:
    doubler = Doubler()
    batcher = MicroBatcher(doubler, CONFIG)
    first = await in_flight(batcher, doubler)
    rest = [await queued(batcher, -1 if place == bad else place) for place in range(4)]

    doubler.gate.set()
    outcomes = await asyncio.gather(*rest, return_exceptions=True)

    assert await first == 0
    for place, outcome in enumerate(outcomes):
        assert isinstance(outcome, ModelFailed) if place == bad else outcome == 2 * place


async def test_what_was_cancelled_is_not_run_again_after_its_batch_failed() -> None:
    doubler = Doubler()
    batcher = MicroBatcher(doubler, CONFIG)
    first = await in_flight(batcher, doubler)
    rest = [await queued(batcher, number) for number in (1, -1, 3)]
    doubler.gate.set()
    await first
    doubler.gate.clear()
    while len(doubler.batches) < 2:
        await asyncio.sleep(0.001)

    rest[0].cancel()
    await asyncio.wait([rest[0]])
    doubler.gate.set()

    with pytest.raises(ModelFailed):
        await rest[1]
    assert await rest[2] == 6
    assert not any(1 in batch for batch in doubler.batches[2:])


async def test_a_wrong_number_of_answers_is_a_failure() -> None:
    batcher = MicroBatcher(lambda numbers: [0, 0, 0], CONFIG)

    with pytest.raises(ModelFailed):
        await batcher.submit(1)


async def test_closing_answers_what_waits_and_refuses_what_comes() -> None:
    doubler = Doubler()
    batcher = MicroBatcher(doubler, CONFIG)
    first = await in_flight(batcher, doubler)
    second = await queued(batcher, 1)

    closing = asyncio.create_task(batcher.close())
    await asyncio.sleep(0)
    with pytest.raises(NotReady):
        await batcher.submit(2)
    doubler.gate.set()
    await closing

    assert await asyncio.gather(first, second) == [0, 2]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(-1, 50), st.sampled_from(["stay", "cancel"]), st.integers(0, 3)),
        max_size=40,
    )
)
def test_every_request_gets_its_own_answer_or_a_reason(
    arrivals: list[tuple[int, str, int]],
) -> None:
    async def run() -> None:
        doubler = Doubler()
        batcher = MicroBatcher(doubler, BatchingConfig(max_batch_size=3, max_enqueued=6))
        tasks = []
        for number, fate, pause in arrivals:
            tasks.append(asyncio.create_task(batcher.submit(number)))
            for _ in range(pause):
                await asyncio.sleep(0)
            if fate == "cancel":
                tasks[-1].cancel()
        done = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 20)
        for (number, fate, _), outcome in zip(arrivals, done, strict=True):
            if isinstance(outcome, asyncio.CancelledError):
                assert fate == "cancel"
            elif isinstance(outcome, ModelFailed):
                assert number == -1
            else:
                assert outcome == 2 * number or isinstance(outcome, QueueFull)
        assert all(len(batch) <= 3 for batch in doubler.batches)
        await batcher.close()

    asyncio.run(run())
