"""The batcher against a model of itself: any order of arrivals, cancels, failures and reloads.

The callers are of three tenants and of both priorities.
"""

import asyncio
import os
from itertools import pairwise, product

from batching.asked import Asked, check, encode, ending
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from recserve_server.batching.batcher import MicroBatcher
from recserve_server.batching.terms import Priority, Terms
from recserve_server.config import BatchingConfig
from recserve_server.errors import QueueFull
from recserve_server.testing import ManualRunner

CONFIG = BatchingConfig(max_batch_size=3, max_enqueued=8, watchdog_s=3.0, max_queue_delay_ms=0)
INTERACTIVE, BATCH = Priority
TENANTS = ("", "a", "b")
KINDS = tuple(product(TENANTS, Priority))
EXAMPLES = int(os.environ.get("RECSERVE_EXAMPLES", "200"))


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
        self.first_batch: dict[int, int] = {}
        """By number, in which batch it was for the first time."""
        self.batch_count = self.interactive_count = 0
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
        tenant=st.sampled_from(TENANTS),
        priority=st.sampled_from([INTERACTIVE, INTERACTIVE, BATCH]),
        turns=st.integers(0, 3),
    )
    def arrive(
        self, size: int, timeout_s: float | None, tenant: str, priority: Priority, turns: int
    ) -> None:
        numbers = tuple(range(self.next_number, self.next_number + size))
        self.next_number += size
        terms = Terms(timeout_s=timeout_s, tenant=tenant, priority=priority)
        evicted, depth = self.batcher.stats.evicted, self.batcher.queue_depth
        is_above_share, most_before = (
            self.is_above_share(terms, size),
            self.most_before(terms, size),
        )

        async def ask() -> list[int]:
            return list(await self.batcher.submit_group(numbers, terms))

        deadline_s = float("inf") if timeout_s is None else self.now_s + timeout_s
        task = self.loop.create_task(ask())
        self.asked.append(Asked(numbers, terms, deadline_s, most_before, task))
        self.turn(turns + 1)
        refused = isinstance(ending(task), QueueFull)
        if self.batcher.stats.evicted > evicted:
            assert depth + size > CONFIG.max_enqueued, "someone is driven out of a queue with room"
            assert not refused, "someone is driven out for a caller who is refused"
        elif refused:
            assert is_above_share, "a tenant is refused within its fair share"

    def is_above_share(self, terms: Terms, size: int) -> bool:
        """Whether more than an equal share of the queue would be a tenant's."""
        queue, room = self.batcher._queue, CONFIG.max_enqueued
        lanes = queue.interactive
        if terms.priority is BATCH:
            lanes, room = queue.batch, room - queue.interactive.request_count
        return lanes.requests_of(terms.tenant) + size > room / len({terms.tenant, *lanes})

    def most_before(self, terms: Terms, size: int) -> float:
        """Returns the sum of what all tenants can have had run, whoever comes later."""
        if terms.priority is BATCH:
            return float("inf")
        own = self.batcher._queue.interactive.requests_of(terms.tenant) + size
        saved = len(TENANTS) * CONFIG.max_batch_size
        return self.interactive_count + len(TENANTS) * own + saved

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

    def is_new(self, number: int) -> bool:
        """Whether it has been in no batch yet."""
        return number not in self.first_batch

    def note(self, numbers: list[int], owners: dict[int, Asked]) -> None:
        """Takes note of a batch."""
        self.batch_count += 1
        for number in filter(self.is_new, numbers):
            self.first_batch[number] = self.batch_count
            self.interactive_count += owners[number].terms.priority is INTERACTIVE

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
        self.everybody_was_served_in_order()
        refused = sum(
            len(each.numbers) for each in self.asked if isinstance(ending(each.task), QueueFull)
        )
        assert self.batcher.stats.refused["QUEUE_FULL"] == refused
        assert self.batcher.tenant_count == 0

    def everybody_was_served_in_order(self) -> None:
        for kind in KINDS:
            answered = [
                each
                for each in self.asked
                if each.kind == kind and isinstance(ending(each.task), list)
            ]
            batches = [self.first_batch[number] for each in answered for number in each.numbers]
            assert batches == sorted(batches), "a later caller of the same kind is served before"


class Doubler(ManualRunner):
    """A runner that checks, as each batch starts, that it holds only what is wanted."""

    def __init__(self, machine: Batching) -> None:
        super().__init__()
        self._machine = machine

    def start(self, requests, done) -> None:
        machine, owners = self._machine, {}
        assert 1 <= len(requests) <= CONFIG.max_batch_size
        for caller in machine.asked:
            if set(caller.numbers) & set(requests):
                owners |= dict.fromkeys(caller.numbers, caller)
                assert not caller.is_cancelled, "cancelled work is computed"
                assert machine.now_s < caller.deadline_s, "work past its deadline is computed"
        kinds = [owners[number].kind for number in requests]
        assert all(before <= after for (_, before), (_, after) in pairwise(kinds)), "priorities mix"
        for kind in KINDS:
            of_kind = [number for number in requests if owners[number].kind == kind]
            assert of_kind == sorted(of_kind), "requests are out of order"
        self._check_turns([owners[number] for number in requests if machine.is_new(number)])
        machine.note(requests, owners)
        super().start([encode(number) for number in requests], done)

    def _check_turns(self, new: list[Asked]) -> None:
        machine = self._machine
        for caller in new:
            assert machine.interactive_count <= caller.most_before, "a caller is starved"
        of_batch_work = [each for each in new if each.terms.priority is BATCH]
        passed_over = [lane.oldest() for lane in machine.batcher._queue.interactive.lanes()]
        if of_batch_work and passed_over:
            largest = max(len(each.requests) for each in passed_over)
            assert largest > len(of_batch_work), "batch work is taken before interactive work"


TestBatching = Batching.TestCase
TestBatching.settings = settings(
    max_examples=EXAMPLES, stateful_step_count=40, deadline=None, derandomize=False
)
