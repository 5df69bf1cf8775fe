import asyncio

import pytest

from recserve_server.errors import ModelFailed, NotReady
from recserve_server.testing import ManualRunner


async def let_one_hang(bench: object) -> None:
    held = await bench.ask(1)
    bench.clock.now_s = 31.0
    bench.batcher.check_hanging()
    with pytest.raises(NotReady):
        await held


@pytest.mark.parametrize("bad", range(4))
async def test_a_bad_request_in_a_batch_fails_alone(bench: object, bad: int) -> None:
    first = await bench.ask(1)
    rest = [await bench.ask(-1 if place == bad else place + 1) for place in range(4)]

    while bench.runner.is_running:
        await bench.finish()
    outcomes = await asyncio.gather(*rest, return_exceptions=True)

    assert await first == [2]
    for place, outcome in enumerate(outcomes):
        assert isinstance(outcome, ModelFailed) if place == bad else outcome == [2 * (place + 1)]


async def test_one_failed_answer_in_a_batch_is_told_to_its_caller_alone(bench: object) -> None:
    first, bad, good = await bench.ask(1), await bench.ask(0), await bench.ask(3)

    await bench.finish()
    await bench.finish()

    with pytest.raises(ModelFailed):
        await bad
    assert (await first, await good) == ([2], [6])
    assert bench.runner.batches == [[1], [0, 3]]  # nothing was run twice


async def test_what_was_cancelled_is_not_run_again_after_its_batch_failed(bench: object) -> None:
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


async def test_a_hanging_model_lets_everybody_go_and_recovers_when_it_answers(
    bench: object,
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
    bench: object,
) -> None:
    await let_one_hang(bench)

    other = ManualRunner()
    bench.batcher.replace(other)
    after = await bench.ask(2)
    bench.runner.finish()
    await bench.turns()
    assert not after.done()
    other.finish()

    assert await after == [4]
    assert not bench.batcher.hanging


async def test_a_replaced_model_is_not_taken_to_hang_for_what_the_old_one_did(
    bench: object,
) -> None:
    await let_one_hang(bench)

    bench.batcher.replace(ManualRunner())
    bench.batcher.check_hanging()

    assert not bench.batcher.hanging


async def test_the_batch_under_way_ends_on_the_runner_that_was_replaced(bench: object) -> None:
    before, other = await bench.ask(1), ManualRunner()
    bench.batcher.replace(other)
    after = await bench.ask(2)

    await bench.finish()
    other.finish()

    assert (await before, await after) == ([2], [4])
    assert (bench.runner.batches, other.batches) == ([[1]], [[2]])


async def test_a_runner_that_has_ended_fails_its_batch_without_running_it_in_halves(
    bench: object,
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
    bench: object,
) -> None:
    await let_one_hang(bench)

    bench.runner.finish(NotReady("the model process ended"))
    assert bench.batcher.hanging
    bench.batcher.replace(ManualRunner())

    assert not bench.batcher.hanging
