import asyncio
from itertools import chain

import pytest

from recserve_server.batching import MicroBatcher
from recserve_server.config import BatchingConfig
from recserve_server.errors import (
    DeadlineTooShort,
    ExpiredInQueue,
    ModelFailed,
    NotReady,
    QueueFull,
)
from recserve_server.testing import ManualRunner

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

    async def ask(self, *numbers: int, timeout_s: float | None = None) -> "asyncio.Task[list[int]]":
        """Lets a caller queue up."""
        task = asyncio.create_task(self._answers(numbers, timeout_s))
        await asyncio.sleep(0)
        return task

    async def _answers(self, numbers: tuple[int, ...], timeout_s: float | None) -> list[int]:
        return list(await self.batcher.submit_group(numbers, timeout_s=timeout_s))

    async def finish(self) -> None:
        """Ends the batch under way and lets everybody act on it."""
        self.runner.finish()
        await turns()


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_lone_request_starts_at_once(bench: Bench) -> None:
    answer = asyncio.create_task(bench.batcher.submit(21))
    await asyncio.sleep(0)

    assert bench.runner.batches == [[21]]
    await bench.finish()
    assert await answer == 42


async def test_a_lone_caller_who_returns_starts_at_once_again(bench: Bench) -> None:
    for number in (1, 2, 3):
        task = await bench.ask(number)
        bench.clock.now_s += 1.0
        await bench.finish()
        await task

    assert bench.runner.batches == [[1], [2], [3]]


async def test_what_arrives_during_a_batch_forms_the_next_up_to_its_limit(bench: Bench) -> None:
    tasks = [await bench.ask(number) for number in range(1, 8)]

    await bench.finish()
    await bench.finish()
    await bench.finish()

    assert bench.runner.batches == [[1], [2, 3, 4, 5], [6, 7]]
    assert [task.result() for task in tasks] == [[2 * number] for number in range(1, 8)]


async def warm(bench: Bench, callers: int, batch_s: float) -> None:
    """Has `callers` answered by one batch that takes `batch_s`, after one of the first alone."""
    tasks = [await bench.ask(number) for number in range(1, callers + 2)]
    await bench.finish()
    bench.clock.now_s += batch_s
    await bench.finish()
    await asyncio.gather(*tasks)
    assert [len(batch) for batch in bench.runner.batches] == [1, callers]
    bench.runner.batches.clear()


async def test_a_pair_whose_turns_cross_comes_to_share_a_batch(bench: Bench) -> None:
    await warm(bench, callers=1, batch_s=0.001)
    pair = [await bench.ask(3), await bench.ask(4)]
    bench.clock.now_s += 0.001
    await bench.finish()

    pair.append(await bench.ask(5))

    assert bench.runner.batches == [[3], [4, 5]]
    await bench.finish()
    await asyncio.gather(*pair)


async def test_a_batch_waits_for_those_who_were_there_lately(bench: Bench) -> None:
    await warm(bench, callers=3, batch_s=0.001)

    back = [await bench.ask(5), await bench.ask(6)]
    await turns()
    assert bench.runner.batches == []

    back.append(await bench.ask(7))
    assert bench.runner.batches == [[5, 6, 7]]
    await bench.finish()
    await asyncio.gather(*back)


async def test_a_batch_waits_three_times_what_the_last_one_took_and_no_longer(bench: Bench) -> None:
    await warm(bench, callers=3, batch_s=0.001)

    lonely = await bench.ask(4)
    bench.clock.now_s += 0.0029
    await turns()
    assert bench.runner.batches == []
    bench.clock.now_s += 0.0002
    await turns()

    assert bench.runner.batches == [[4]]
    await bench.finish()
    assert lonely.result() == [8]


async def test_nobody_waits_for_company_longer_than_batch_timeout_micros() -> None:
    bench = Bench(BatchingConfig(max_batch_size=4, max_enqueued=8, batch_timeout_micros=500))
    await warm(bench, callers=3, batch_s=1.0)

    lonely = await bench.ask(4)
    bench.clock.now_s += 0.0006
    await turns()

    assert bench.runner.batches == [[4]]
    await bench.finish()
    await lonely


async def test_a_full_batch_does_not_wait_for_those_who_were_there_lately(bench: Bench) -> None:
    await warm(bench, callers=4, batch_s=0.001)
    tasks = [await bench.ask(number) for number in range(1, 5)]
    more = [await bench.ask(number) for number in range(5, 9)]
    bench.clock.now_s += 0.001
    await bench.finish()  # eight were there lately

    assert bench.runner.batches == [[1, 2, 3, 4], [5, 6, 7, 8]]
    await bench.finish()
    await asyncio.gather(*tasks, *more)


async def test_a_full_queue_refuses_at_once_and_says_when_to_return(bench: Bench) -> None:
    tasks = [await bench.ask(number) for number in range(1, 10)]

    with pytest.raises(QueueFull) as caught:
        await bench.batcher.submit(9)

    assert caught.value.retry_after_s > 0
    assert bench.batcher.queue_depth == 8
    assert bench.batcher.stats.refused == {"QUEUE_FULL": 1}
    while bench.runner.is_running:
        await bench.finish()
    await asyncio.gather(*tasks)


async def test_work_whose_deadline_passed_in_the_queue_is_not_computed(bench: Bench) -> None:
    first = await bench.ask(1)
    late, in_time = await bench.ask(2, timeout_s=1.0), await bench.ask(3, timeout_s=3.0)

    bench.clock.now_s = 2.0
    await bench.finish()
    await bench.finish()

    with pytest.raises(ExpiredInQueue, match=r"2000\.0 ms"):
        await late
    assert (await in_time, await first) == ([6], [2])
    assert bench.runner.batches == [[1], [3]]


async def test_cancelled_work_is_not_computed_and_frees_its_place(bench: Bench) -> None:
    first = await bench.ask(1)
    waiting = [await bench.ask(number) for number in range(2, 10)]

    waiting[0].cancel()
    await asyncio.wait([waiting[0]])
    replacement = await bench.ask(10)
    while bench.runner.is_running:
        await bench.finish()

    await asyncio.gather(first, *waiting[1:], replacement)
    assert list(chain.from_iterable(bench.runner.batches)) == [1, 3, 4, 5, 6, 7, 8, 9, 10]


async def test_cancelling_a_request_in_a_running_batch_leaves_the_others_alone(
    bench: Bench,
) -> None:
    first, pair = await bench.ask(1), [await bench.ask(2), await bench.ask(3)]
    await bench.finish()

    pair[0].cancel()
    await asyncio.wait([pair[0]])
    await bench.finish()

    assert pair[0].cancelled()
    assert (await first, await pair[1]) == ([2], [6])
    assert bench.batcher.stats.wasted == 1


async def test_a_deadline_shorter_than_the_estimated_wait_is_refused_at_once(bench: Bench) -> None:
    first = await bench.ask(1)
    bench.clock.now_s = 1.0
    await bench.finish()
    await first  # a batch takes 1 s, then
    running = await bench.ask(2)

    with pytest.raises(DeadlineTooShort, match=r"500\.0 ms away.*1000\.0 ms"):
        await bench.batcher.submit(3, timeout_s=0.5)
    full = [await bench.ask(number, timeout_s=1.5) for number in (1, 2, 3, 4)]
    with pytest.raises(DeadlineTooShort, match=r"2000\.0 ms"):
        await bench.batcher.submit(3, timeout_s=1.5)
    while bench.runner.is_running:
        await bench.finish()
    await asyncio.gather(running, *full)

    in_no_time = await bench.ask(6, timeout_s=0.001)  # nothing runs, so nothing is waited for
    while bench.runner.is_running:
        await bench.finish()
    assert await in_no_time == [12]


@pytest.mark.parametrize("bad", range(4))
async def test_a_bad_request_in_a_batch_fails_alone(bench: Bench, bad: int) -> None:
    first = await bench.ask(1)
    rest = [await bench.ask(-1 if place == bad else place + 1) for place in range(4)]

    while bench.runner.is_running:
        await bench.finish()
    outcomes = await asyncio.gather(*rest, return_exceptions=True)

    assert await first == [2]
    for place, outcome in enumerate(outcomes):
        assert isinstance(outcome, ModelFailed) if place == bad else outcome == [2 * (place + 1)]


async def test_one_failed_answer_in_a_batch_is_told_to_its_caller_alone(bench: Bench) -> None:
    first, bad, good = await bench.ask(1), await bench.ask(0), await bench.ask(3)

    await bench.finish()
    await bench.finish()

    with pytest.raises(ModelFailed):
        await bad
    assert (await first, await good) == ([2], [6])
    assert bench.runner.batches == [[1], [0, 3]]  # nothing was run twice


async def test_what_was_cancelled_is_not_run_again_after_its_batch_failed(bench: Bench) -> None:
    first, rest = await bench.ask(5), [await bench.ask(number) for number in (1, -1, 3)]
    await bench.finish()

    rest[0].cancel()
    await asyncio.wait([rest[0]])
    while bench.runner.is_running:
        await bench.finish()

    with pytest.raises(ModelFailed):
        await rest[1]
    assert (await first, await rest[2]) == ([10], [6])
    assert not any(1 in batch for batch in bench.runner.batches[2:])


async def test_a_group_shares_a_batch_and_keeps_its_order(bench: Bench) -> None:
    first, group, single = await bench.ask(9), await bench.ask(3, 1, 2), await bench.ask(4)

    await bench.finish()
    await bench.finish()

    assert bench.runner.batches == [[9], [3, 1, 2, 4]]
    assert (await first, await group, await single) == ([18], [6, 2, 4], [8])


async def test_a_group_larger_than_a_batch_is_answered_out_of_several(bench: Bench) -> None:
    group = await bench.ask(1, 2, 3, 4, 5, 6)

    await bench.finish()
    await bench.finish()

    assert bench.runner.batches == [[1, 2, 3, 4], [5, 6]]
    assert await group == [2, 4, 6, 8, 10, 12]


async def test_a_group_fails_as_a_whole(bench: Bench) -> None:
    group = await bench.ask(1, 2, 3, -4, 5, 6)

    while bench.runner.is_running:
        await bench.finish()

    with pytest.raises(ModelFailed):
        await group
    assert bench.batcher.queue_depth == 0


async def test_a_cancelled_group_leaves_the_queue_whole(bench: Bench) -> None:
    first, group = await bench.ask(1), await bench.ask(2, 3, 4, 5, 6)

    group.cancel()
    await asyncio.wait([group])
    await bench.finish()

    assert bench.batcher.queue_depth == 0
    assert (await first, bench.runner.batches) == ([2], [[1]])


async def test_a_group_that_does_not_fit_is_refused_whole(bench: Bench) -> None:
    with pytest.raises(QueueFull):
        await bench.batcher.submit_group(range(1, 10))

    assert (bench.batcher.queue_depth, bench.runner.batches) == (0, [])


async def test_a_hanging_model_lets_everybody_go_and_recovers_when_it_answers(
    bench: Bench,
) -> None:
    tasks = [await bench.ask(1), await bench.ask(2)]
    bench.clock.now_s = 30.0
    bench.batcher.check_hanging()
    assert not bench.batcher.hanging

    bench.clock.now_s = 30.1
    bench.batcher.check_hanging()

    assert bench.batcher.hanging
    for task in tasks:
        with pytest.raises(NotReady, match="does not answer"):
            await task
    with pytest.raises(NotReady):
        await bench.batcher.submit(3)
    await bench.finish()
    assert not bench.batcher.hanging
    after = await bench.ask(4)
    await bench.finish()
    assert await after == [8]


async def test_a_hanging_model_can_be_replaced_and_its_late_answer_is_nobodys(
    bench: Bench,
) -> None:
    held = await bench.ask(1)
    bench.clock.now_s = 31.0
    bench.batcher.check_hanging()
    with pytest.raises(NotReady):
        await held

    other = ManualRunner()
    bench.batcher.replace(other)
    after = await bench.ask(2)
    bench.runner.finish()
    await turns()
    assert not after.done()
    other.finish()

    assert await after == [4]
    assert not bench.batcher.hanging


async def test_a_replaced_model_is_not_taken_to_hang_for_what_the_old_one_did(
    bench: Bench,
) -> None:
    held = await bench.ask(1)
    bench.clock.now_s = 31.0
    bench.batcher.check_hanging()
    with pytest.raises(NotReady):
        await held

    bench.batcher.replace(ManualRunner())
    bench.batcher.check_hanging()

    assert not bench.batcher.hanging


async def test_the_batch_under_way_ends_on_the_runner_that_was_replaced(bench: Bench) -> None:
    before, other = await bench.ask(1), ManualRunner()
    bench.batcher.replace(other)
    after = await bench.ask(2)

    await bench.finish()
    other.finish()

    assert (await before, await after) == ([2], [4])
    assert (bench.runner.batches, other.batches) == ([[1]], [[2]])


async def test_a_runner_that_has_ended_fails_its_batch_without_running_it_in_halves(
    bench: Bench,
) -> None:
    tasks = [await bench.ask(1), await bench.ask(2), await bench.ask(3)]
    await bench.finish()

    bench.runner.finish(NotReady("the model process ended"))

    assert await tasks[0] == [2]
    for task in tasks[1:]:
        with pytest.raises(NotReady, match="process ended"):
            await task
    assert bench.runner.batches == [[1], [2, 3]]


async def test_a_runner_that_was_ended_while_hanging_stays_hanging_until_replaced(
    bench: Bench,
) -> None:
    held = await bench.ask(1)
    bench.clock.now_s = 31.0
    bench.batcher.check_hanging()
    with pytest.raises(NotReady):
        await held

    bench.runner.finish(NotReady("the model process ended"))
    assert bench.batcher.hanging
    bench.batcher.replace(ManualRunner())

    assert not bench.batcher.hanging


async def test_closing_answers_what_waits_and_refuses_what_comes(bench: Bench) -> None:
    tasks = [await bench.ask(1), await bench.ask(2)]

    closing = asyncio.create_task(bench.batcher.close())
    await asyncio.sleep(0)
    with pytest.raises(NotReady):
        await bench.batcher.submit(2)
    while bench.runner.is_running:
        await bench.finish()
    await closing

    assert [await task for task in tasks] == [[2], [4]]
    assert bench.runner.is_closed


async def test_closing_does_not_wait_for_a_model_that_hangs(bench: Bench) -> None:
    held = await bench.ask(1)
    closing = asyncio.create_task(bench.batcher.close())
    await asyncio.sleep(0)
    bench.clock.now_s = 31.0

    bench.batcher.check_hanging()
    await closing

    with pytest.raises(NotReady):
        await held


async def test_the_statistics_tell_sizes_waits_and_failures(bench: Bench) -> None:
    tasks = [await bench.ask(1), await bench.ask(2), await bench.ask(-3)]
    bench.clock.now_s = 0.5
    await bench.finish()
    bench.clock.now_s = 0.75
    while bench.runner.is_running:
        await bench.finish()
    await asyncio.wait(tasks)

    stats = bench.batcher.stats
    assert (stats.batch_size.count, stats.batch_size.total) == (4, 5.0)
    assert stats.queue_wait_s.total == pytest.approx(0.5 + 0.5 + 0.75 + 0.75)
    assert stats.failed_batches == 2
    assert stats.refused == {"MODEL_FAILED": 1}
