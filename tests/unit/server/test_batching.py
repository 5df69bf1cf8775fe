import asyncio
from itertools import chain

import pytest

from recserve_server.batching.terms import Terms
from recserve_server.errors import (
    DeadlineTooShort,
    ExpiredInQueue,
    ModelFailed,
    NotReady,
    QueueFull,
)


async def test_a_lone_request_starts_at_once(bench: object) -> None:
    answer = asyncio.create_task(bench.batcher.submit(21))
    await asyncio.sleep(0)

    assert bench.runner.batches == [[21]]
    await bench.finish()
    assert await answer == 42


async def test_a_lone_caller_who_returns_starts_at_once_again(bench: object) -> None:
    for number in (1, 2, 3):
        task = await bench.ask(number)
        bench.clock.now_s += 1.0
        await bench.finish()
        await task

    assert bench.runner.batches == [[1], [2], [3]]


async def test_what_arrives_during_a_batch_forms_the_next_up_to_its_limit(bench: object) -> None:
    tasks = [await bench.ask(number) for number in range(1, 8)]

    await bench.finish()
    await bench.finish()
    await bench.finish()

    assert bench.runner.batches == [[1], [2, 3, 4, 5], [6, 7]]
    assert [task.result() for task in tasks] == [[2 * number] for number in range(1, 8)]


async def test_a_pair_whose_turns_cross_comes_to_share_a_batch(bench: object) -> None:
    await bench.warm(callers=1, batch_s=0.001)
    pair = [await bench.ask(3), await bench.ask(4)]
    bench.clock.now_s += 0.001
    await bench.finish()

    pair.append(await bench.ask(5))

    assert bench.runner.batches == [[3], [4, 5]]
    await bench.finish()
    await asyncio.gather(*pair)


async def test_a_batch_waits_for_those_who_were_there_lately(bench: object) -> None:
    await bench.warm(callers=3, batch_s=0.001)

    back = [await bench.ask(5), await bench.ask(6)]
    await bench.turns()
    assert bench.runner.batches == []

    back.append(await bench.ask(7))
    assert bench.runner.batches == [[5, 6, 7]]
    await bench.finish()
    await asyncio.gather(*back)


async def test_a_batch_waits_three_times_what_the_last_one_took_and_no_longer(
    bench: object,
) -> None:
    await bench.warm(callers=3, batch_s=0.001)

    lonely = await bench.ask(4)
    bench.clock.now_s += 0.0029
    await bench.turns()
    assert bench.runner.batches == []
    bench.clock.now_s += 0.0002
    await bench.turns()

    assert bench.runner.batches == [[4]]
    await bench.finish()
    assert lonely.result() == [8]


async def test_nobody_waits_for_company_longer_than_batch_timeout_micros(
    impatient_bench: object,
) -> None:
    bench = impatient_bench
    await bench.warm(callers=3, batch_s=1.0)

    lonely = await bench.ask(4)
    bench.clock.now_s += 0.0006
    await bench.turns()

    assert bench.runner.batches == [[4]]
    await bench.finish()
    await lonely


async def test_a_full_batch_does_not_wait_for_those_who_were_there_lately(bench: object) -> None:
    await bench.warm(callers=4, batch_s=0.001)
    tasks = [await bench.ask(number) for number in range(1, 5)]
    more = [await bench.ask(number) for number in range(5, 9)]
    bench.clock.now_s += 0.001
    await bench.finish()  # eight were there lately

    assert bench.runner.batches == [[1, 2, 3, 4], [5, 6, 7, 8]]
    await bench.finish()
    await asyncio.gather(*tasks, *more)


async def test_a_full_queue_refuses_at_once_and_says_when_to_return(bench: object) -> None:
    tasks = [await bench.ask(number) for number in range(1, 10)]

    with pytest.raises(QueueFull) as caught:
        await bench.batcher.submit(9)

    assert caught.value.retry_after_s > 0
    assert bench.batcher.queue_depth == 8
    assert bench.batcher.stats.refused == {"QUEUE_FULL": 1}
    while bench.runner.is_running:
        await bench.finish()
    await asyncio.gather(*tasks)


async def test_work_whose_deadline_passed_in_the_queue_is_not_computed(bench: object) -> None:
    first = await bench.ask(1)
    late, in_time = await bench.ask(2, timeout_s=1.0), await bench.ask(3, timeout_s=3.0)

    bench.clock.now_s = 2.0
    await bench.finish()
    await bench.finish()

    with pytest.raises(ExpiredInQueue, match=r"2000\.0 ms"):
        await late
    assert (await in_time, await first) == ([6], [2])
    assert bench.runner.batches == [[1], [3]]


async def test_cancelled_work_is_not_computed_and_frees_its_place(bench: object) -> None:
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
    bench: object,
) -> None:
    first, pair = await bench.ask(1), [await bench.ask(2), await bench.ask(3)]
    await bench.finish()

    pair[0].cancel()
    await asyncio.wait([pair[0]])
    await bench.finish()

    assert pair[0].cancelled()
    assert (await first, await pair[1]) == ([2], [6])
    assert bench.batcher.stats.wasted == 1


async def test_a_deadline_before_the_estimated_answer_is_refused_at_once(bench: object) -> None:
    first = await bench.ask(1)
    bench.clock.now_s = 1.0
    await bench.finish()
    await first  # a batch takes 1 s, then
    running = await bench.ask(2)

    with pytest.raises(DeadlineTooShort, match=r"500\.0 ms away.*2500\.0 ms"):
        await bench.batcher.submit(3, Terms(timeout_s=0.5))
    full = [await bench.ask(number, timeout_s=2.5) for number in (1, 2, 3, 4)]
    with pytest.raises(DeadlineTooShort, match=r"3750\.0 ms"):
        await bench.batcher.submit(3, Terms(timeout_s=2.5))
    while bench.runner.is_running:
        await bench.finish()
    await asyncio.gather(running, *full)

    in_no_time = await bench.ask(6, timeout_s=0.001)  # nothing runs, so nothing is waited for
    while bench.runner.is_running:
        await bench.finish()
    assert await in_no_time == [12]


async def test_a_group_shares_a_batch_and_keeps_its_order(bench: object) -> None:
    first, group, single = await bench.ask(9), await bench.ask(3, 1, 2), await bench.ask(4)

    await bench.finish()
    await bench.finish()

    assert bench.runner.batches == [[9], [3, 1, 2, 4]]
    assert (await first, await group, await single) == ([18], [6, 2, 4], [8])


async def test_a_group_larger_than_a_batch_is_answered_out_of_several(bench: object) -> None:
    group = await bench.ask(1, 2, 3, 4, 5, 6)

    await bench.finish()
    await bench.finish()

    assert bench.runner.batches == [[1, 2, 3, 4], [5, 6]]
    assert await group == [2, 4, 6, 8, 10, 12]


async def test_a_group_fails_as_a_whole(bench: object) -> None:
    group = await bench.ask(1, 2, 3, -4, 5, 6)

    while bench.runner.is_running:
        await bench.finish()

    with pytest.raises(ModelFailed):
        await group
    assert bench.batcher.queue_depth == 0


async def test_a_cancelled_group_leaves_the_queue_whole(bench: object) -> None:
    first, group = await bench.ask(1), await bench.ask(2, 3, 4, 5, 6)

    group.cancel()
    await asyncio.wait([group])
    await bench.finish()

    assert bench.batcher.queue_depth == 0
    assert (await first, bench.runner.batches) == ([2], [[1]])


async def test_a_group_that_does_not_fit_is_refused_whole(bench: object) -> None:
    with pytest.raises(QueueFull):
        await bench.batcher.submit_group(range(1, 10))

    assert (bench.batcher.queue_depth, bench.runner.batches) == (0, [])


async def test_closing_answers_what_waits_and_refuses_what_comes(bench: object) -> None:
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


async def test_closing_does_not_wait_for_a_model_that_hangs(bench: object) -> None:
    held = await bench.ask(1)
    closing = asyncio.create_task(bench.batcher.close())
    await asyncio.sleep(0)
    bench.clock.now_s = 31.0

    bench.batcher.check_hanging()
    await closing

    with pytest.raises(NotReady):
        await held


async def test_the_statistics_tell_sizes_waits_and_failures(bench: object) -> None:
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
