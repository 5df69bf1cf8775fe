"""The batcher against a model of itself: any order of arrivals, cancels, failures and reloads."""

import asyncio
import os
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from recserve_server.batching.batcher import MicroBatcher
from recserve_server.config import BatchingConfig
from recserve_server.errors import (
    DeadlineTooShort,
    ExpiredInQueue,
    ModelFailed,
    NotReady,
    QueueFull,
)
from recserve_server.testing import ManualRunner

CONFIG = BatchingConfig(max_batch_size=3, max_enqueued=8, watchdog_s=3.0)
EXAMPLES = int(os.environ.get("RECSERVE_EXAMPLES", "200"))


@dataclass(eq=False)
class Asked:
    """What one caller wanted, and what became of it."""

    numbers: tuple[int, ...]
    deadline_s: float
    task: "asyncio.Task[list[int]]"
    is_cancelled: bool = False
    seen_in: list[int] = field(default_factory=list)
    """Times at which batches with its numbers started."""


class Batching(RuleBasedStateMachine):
    """Every number is asked for once, so a batch tells whose requests are in it.

    Divisible by 7: fails its batch. Divisible by 5: gets a failure of its own.
    """

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.escaped: list[object] = []
        self.loop.set_exception_handler(lambda _, what: self.escaped.append(what))
        self.now_s = 0.0
        self.next_number = 1
        self.asked: list[Asked] = []
        self.runner = Doubler(self)
        self.retired: list[Doubler] = []
        self.batcher: MicroBatcher[int, int] = MicroBatcher(
            self.runner, CONFIG, clock=lambda: self.now_s
        )

    def turn(self, count: int = 4) -> None:
        async def wait() -> None:
            for _ in range(count):
                await asyncio.sleep(0)

        self.loop.run_until_complete(wait())

    def end(self, runner: "Doubler") -> None:
        async def finish() -> None:
            runner.finish()

        self.loop.run_until_complete(finish())

    @rule(
        size=st.sampled_from([1, 1, 1, 2, 3, 5]),
        timeout_s=st.sampled_from([None, None, 0.5, 2.0, 8.0]),
        turns=st.integers(0, 3),
    )
    def arrive(self, size: int, timeout_s: float | None, turns: int) -> None:
        numbers = tuple(range(self.next_number, self.next_number + size))
        self.next_number += size

        async def ask() -> list[int]:
            return list(await self.batcher.submit_group(numbers, timeout_s=timeout_s))

        deadline_s = float("inf") if timeout_s is None else self.now_s + timeout_s
        self.asked.append(Asked(numbers, deadline_s, self.loop.create_task(ask())))
        self.turn(turns + 1)

    @precondition(lambda self: any(not each.task.done() for each in self.asked))
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        caller = data.draw(st.sampled_from([each for each in self.asked if not each.task.done()]))
        caller.is_cancelled = True
        caller.task.cancel()
        self.turn()

    @rule(seconds=st.sampled_from([0.0005, 0.01, 1.0, 4.0]))
    def time_passes(self, seconds: float) -> None:
        self.now_s += seconds
        self.turn()

    @precondition(lambda self: self.runner.is_running)
    @rule(again=st.booleans())
    def hang(self, again: bool) -> None:
        self.now_s += 4.0
        self.batcher.check_hanging()
        self.turn()
        assert self.batcher.hanging
        assert all(each.task.done() for each in self.asked), "a caller waits for a hanging model"
        if again:
            self.reload()
            self.batcher.check_hanging()
            assert not self.batcher.hanging

    @precondition(lambda self: self.runner.is_running)
    @rule(data=st.data())
    def cancel_in_a_batch_that_fails(self, data: st.DataObject) -> None:
        """Leaves while the batch runs whose halves are to be run again."""
        if any(not each.task.done() for each in self.asked):
            self.cancel(data)
        self.end(self.runner)
        self.turn()

    @precondition(lambda self: self.runner.is_running)
    @rule(turns=st.integers(0, 4))
    def finish(self, turns: int) -> None:
        self.end(self.runner)
        self.turn(turns)

    @rule()
    def reload(self) -> None:
        self.retired.append(self.runner)
        self.runner = Doubler(self)
        self.batcher.replace(self.runner)
        self.turn()

    @precondition(lambda self: any(each.is_running for each in self.retired))
    @rule()
    def finish_on_the_old_model(self) -> None:
        self.end(next(each for each in self.retired if each.is_running))
        self.turn()

    @invariant()
    def nothing_escapes_into_the_event_loop(self) -> None:
        assert not self.escaped

    @invariant()
    def queue_is_bounded(self) -> None:
        assert 0 <= self.batcher.queue_depth <= CONFIG.max_enqueued

    @invariant()
    def everybody_answered_has_their_own_answer(self) -> None:
        for each in self.asked:
            if each.task.done():
                check(each)

    def teardown(self) -> None:
        try:
            self.everybody_comes_to_an_end()
        finally:
            for each in self.asked:
                each.task.cancel()
            self.turn()
            self.loop.close()

    def everybody_comes_to_an_end(self) -> None:
        closing = self.loop.create_task(self.batcher.close())
        for _ in range(200):
            self.now_s += 1.0
            for runner in (self.runner, *self.retired):
                if runner.is_running:
                    self.end(runner)
            self.turn()
            if closing.done():
                break
        assert closing.done(), "closing hangs"
        assert all(each.task.done() for each in self.asked), "a caller hangs"
        self.everybody_answered_has_their_own_answer()


class Doubler(ManualRunner):
    """A runner that checks, as each batch starts, that it holds only what is wanted."""

    def __init__(self, machine: Batching) -> None:
        super().__init__()
        self._machine = machine

    def start(self, requests, done) -> None:
        machine, wanted = self._machine, []
        assert 1 <= len(requests) <= CONFIG.max_batch_size
        for caller in machine.asked:
            if not set(caller.numbers) & set(requests):
                continue
            wanted.append(caller)
            assert not caller.is_cancelled, "cancelled work is computed"
            assert machine.now_s < caller.deadline_s, "work past its deadline is computed"
        order = [number for caller in wanted for number in caller.numbers if number in requests]
        assert list(requests) == order, "requests are out of order"
        super().start([encode(number) for number in requests], done)


def encode(number: int) -> int:
    """Returns what `ManualRunner` takes for a number of this fate."""
    if number % 7 == 0:
        return -number
    return 0 if number % 5 == 0 else number


def check(caller: Asked) -> None:
    if caller.task.cancelled():
        assert caller.is_cancelled
        return
    error = caller.task.exception()
    if error is None:
        assert caller.task.result() == [2 * number for number in caller.numbers]
    elif isinstance(error, ModelFailed):
        # Groups are split into batches of three; a failure in any of them is the group's.
        assert any(encode(number) <= 0 for number in caller.numbers)
    else:
        assert isinstance(error, (QueueFull, DeadlineTooShort, ExpiredInQueue, NotReady))
        if isinstance(error, (DeadlineTooShort, ExpiredInQueue)):
            assert caller.deadline_s < float("inf")


TestBatching = Batching.TestCase
TestBatching.settings = settings(
    max_examples=EXAMPLES, stateful_step_count=40, deadline=None, derandomize=False
)
