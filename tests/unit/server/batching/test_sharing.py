"""How the batcher shares its batches and its queue between priorities and tenants."""

import asyncio

import pytest

from recserve_server.batching.terms import Priority, Terms, Timing
from recserve_server.errors import NotReady, QueueFull

BATCH = Priority.BATCH


async def finish_all(bench):
    while bench.runner.is_running:
        await bench.finish()


async def test_interactive_work_is_taken_before_batch_work_that_came_first(bench: object) -> None:
    tasks = [await bench.ask(1)]
    tasks += [await bench.ask(number, priority=BATCH) for number in (2, 3)]
    tasks += [await bench.ask(number) for number in (4, 5, 6, 7, 8)]

    await finish_all(bench)

    assert bench.runner.batches == [[1], [4, 5, 6, 7], [8, 2, 3]]
    await asyncio.gather(*tasks)


async def test_a_large_group_of_batch_work_gets_what_room_interactive_work_leaves(
    bench: object,
) -> None:
    tasks = [await bench.ask(1), await bench.ask(2, 3, 4, 5, priority=BATCH)]
    batches = []
    for number in (6, 7, 8):
        tasks.append(await bench.ask(number))
        await bench.finish()
        batches.append(bench.runner.batches[-1])
    await finish_all(bench)

    assert batches == [[6, 2, 3, 4], [7, 5], [8]]
    assert await tasks[1] == [4, 6, 8, 10]
    await asyncio.gather(*tasks)


async def test_a_batch_is_shared_by_the_tenants_that_wait(bench: object) -> None:
    tasks = [await bench.ask(1, tenant="flood")]
    tasks += [await bench.ask(number, tenant="flood") for number in (2, 3, 4, 5, 6)]
    tasks += [await bench.ask(number, tenant="other") for number in (7, 8)]

    await finish_all(bench)

    assert bench.runner.batches == [[1], [2, 7, 3, 8], [4, 5, 6]]
    await asyncio.gather(*tasks)


async def test_tenants_are_counted_while_they_wait(bench: object) -> None:
    tasks = [await bench.ask(number, tenant="a") for number in (1, 2)]
    tasks += [await bench.ask(3, tenant="b"), await bench.ask(4, tenant="b", priority=BATCH)]

    assert bench.batcher.tenant_count == 2

    await finish_all(bench)
    assert bench.batcher.tenant_count == 0
    await asyncio.gather(*tasks)


async def test_whoever_floods_a_full_queue_makes_room_for_another_tenant(bench: object) -> None:
    flood = [await bench.ask(number, tenant="flood") for number in range(1, 10)]

    other = await bench.ask(10, tenant="other")
    await bench.turns()

    with pytest.raises(QueueFull) as caught:
        await flood[-1]
    assert caught.value.retry_after_s > 0
    assert (bench.batcher.queue_depth, bench.batcher.stats.evicted) == (8, 1)
    assert bench.batcher.stats.refused == {"QUEUE_FULL": 1}
    await finish_all(bench)
    assert await other == [20]
    assert [await task for task in flood[:-1]] == [[2 * number] for number in range(1, 9)]


async def test_callers_who_come_at_once_drive_out_one_each(bench: object) -> None:
    flood = [await bench.ask(number, tenant="flood") for number in range(1, 10)]

    others = [asyncio.create_task(bench.batcher.submit(10, Terms(tenant="b"))) for _ in range(3)]
    await bench.turns()

    assert (bench.batcher.queue_depth, bench.batcher.stats.evicted) == (8, 3)
    await finish_all(bench)
    assert await asyncio.gather(*others) == [20, 20, 20]
    assert [task.exception() is None for task in flood] == [True] * 6 + [False] * 3


async def test_an_evicted_group_is_answered_with_one_error_and_leaves_whole(bench: object) -> None:
    first, group = await bench.ask(1), await bench.ask(*range(2, 10), tenant="flood")

    other = await bench.ask(10, tenant="other")
    await bench.turns()

    assert group.exception().reason == "QUEUE_FULL"
    assert (bench.batcher.queue_depth, bench.batcher.stats.evicted) == (1, 8)
    await finish_all(bench)
    assert (await first, await other) == ([2], [20])
    assert bench.runner.batches == [[1], [10]]


async def test_a_caller_who_will_not_be_let_in_drives_nobody_out(bench: object) -> None:
    await bench.warm(callers=1, batch_s=0.3)
    flood = [await bench.ask(number, tenant="flood") for number in range(1, 10)]

    hasty = await bench.ask(10, tenant="other", timeout_s=0.2)
    await bench.turns()

    assert hasty.exception().reason == "DEADLINE_TOO_SHORT"
    assert bench.batcher.stats.evicted == 0
    await finish_all(bench)
    await asyncio.gather(*flood)


async def test_waits_are_counted_by_priority(bench: object) -> None:
    tasks = [await bench.ask(1), await bench.ask(2), await bench.ask(3, priority=BATCH)]
    bench.clock.now_s = 0.5

    await finish_all(bench)

    stats = bench.batcher.stats
    assert (stats.queue_wait_s.count, stats.queue_wait_s.total) == (2, 0.5)
    assert (stats.batch_queue_wait_s.count, stats.batch_queue_wait_s.total) == (1, 0.5)
    await asyncio.gather(*tasks)


async def test_a_request_is_told_when_its_batch_ran_and_how_large_it_was(bench: object) -> None:
    timing, first = Timing(), await bench.ask(1)
    bench.clock.now_s = 1.0
    tasks = [first, await bench.ask(2, timing=timing), await bench.ask(3)]
    bench.clock.now_s = 3.0
    await bench.finish()
    bench.clock.now_s = 6.0
    await bench.finish()

    assert timing == Timing(enqueued_s=1.0, started_s=3.0, finished_s=6.0, batch_size=2)
    await asyncio.gather(*tasks)


async def test_a_group_in_several_batches_is_told_of_the_first_start_and_the_last_end(
    bench: object,
) -> None:
    timing = Timing()
    bench.clock.now_s = 1.0
    group = await bench.ask(*range(1, 7), timing=timing)
    for now_s in (2.0, 4.0):
        bench.clock.now_s = now_s
        await bench.finish()

    assert timing == Timing(enqueued_s=1.0, started_s=1.0, finished_s=4.0, batch_size=2)
    await group


async def test_a_request_that_was_refused_has_no_times(bench: object) -> None:
    timing, closing = Timing(), asyncio.create_task(bench.batcher.close())
    await closing

    with pytest.raises(NotReady):
        await (await bench.ask(1, timing=timing))

    assert timing == Timing()
