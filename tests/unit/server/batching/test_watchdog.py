"""What the watchdog does about a batcher that has gone to sleep with callers in its queue."""

import asyncio


async def fall_asleep(bench):
    """Lets a caller wait for company, and the event loop forget to look after it."""
    await bench.warm(callers=3, batch_s=0.001)
    forgotten = await bench.ask(4)
    bench.batcher._gathering.cancel()
    await bench.turns()
    return forgotten


async def test_requests_that_wait_while_nothing_runs_are_run_in_the_end(
    bench: object, caplog: object
) -> None:
    forgotten = await fall_asleep(bench)
    bench.clock.now_s += 31.0

    bench.batcher.check_hanging()

    assert bench.runner.batches == [[4]]
    assert bench.batcher.stats.woken == 1
    assert "requests wait and nothing runs" in caplog.text
    await bench.finish()
    assert await forgotten == [8]


async def test_a_batch_that_is_not_late_is_left_alone(bench: object) -> None:
    forgotten = await fall_asleep(bench)
    bench.clock.now_s += 29.0

    bench.batcher.check_hanging()

    assert bench.runner.batches == []
    forgotten.cancel()
    await asyncio.wait([forgotten])


async def test_halves_of_a_failed_batch_that_nobody_runs_are_run_in_the_end(bench: object) -> None:
    tasks = [await bench.ask(1), await bench.ask(2), await bench.ask(-3)]
    await bench.finish()
    start_next, bench.batcher._start_next = bench.batcher._start_next, lambda: None
    await bench.finish()  # [2, -3] fails
    bench.batcher._start_next = start_next
    bench.clock.now_s += 31.0

    bench.batcher.check_hanging()

    assert bench.runner.batches[-1] == [2]
    await bench.finish()
    await bench.finish()
    assert await tasks[1] == [4]
    await asyncio.wait(tasks)
    assert tasks[2].exception().reason == "MODEL_FAILED"


async def test_an_idle_batcher_is_not_taken_to_be_asleep(bench: object) -> None:
    task = await bench.ask(1)
    await bench.finish()
    await task
    bench.clock.now_s += 1000.0

    bench.batcher.check_hanging()

    assert bench.batcher.stats.woken == 0
    assert not bench.batcher.hanging
