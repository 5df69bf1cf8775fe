import asyncio
import contextvars
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from recserve_client import (
    AsyncRecommenderClient,
    CallCancelledError,
    ChannelConfig,
    DeadlineExceededError,
    InvalidRequestError,
    RecommenderClient,
    TimeBudget,
)
from recserve_client._transport.budget import current_budget
from recserve_client._transport.limits import checked_timeout_s
from recserve_client._transport.retrying import HedgeBudget


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.mark.parametrize("timeout_s", [0.001, 1, 86_400])
def test_a_timeout_from_nothing_to_a_day_is_accepted(timeout_s) -> None:
    assert checked_timeout_s(timeout_s) == timeout_s


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan"), float("inf"), 86_401, "2", None])
def test_a_timeout_that_makes_no_deadline_is_refused(timeout_s) -> None:
    with pytest.raises(InvalidRequestError, match="timeout_s"):
        checked_timeout_s(timeout_s)


def test_a_budget_runs_out() -> None:
    clock = Clock()
    budget = TimeBudget(2.0, clock=clock)

    clock.now_s += 1.5
    assert budget.remaining_s == 0.5
    assert (budget.limited_s(5.0), budget.limited_s(0.25)) == (0.5, 0.25)

    clock.now_s += 0.5
    assert budget.remaining_s == 0
    with pytest.raises(DeadlineExceededError, match="budget of 2 s is used up"):
        budget.limited_s(5.0)


def test_the_shortest_of_several_budgets_holds() -> None:
    clock = Clock()
    with TimeBudget(1.0, clock=clock), TimeBudget(5.0, clock=clock) as inner:
        assert inner.remaining_s == 1.0
        assert current_budget() is inner
    assert current_budget() is None


def test_a_budget_is_not_entered_twice_at_a_time() -> None:
    budget = TimeBudget(1.0)
    with budget, pytest.raises(RuntimeError, match="twice"):
        budget.__enter__()
    with budget:
        assert current_budget() is budget


async def test_a_task_does_not_enter_the_budget_that_it_was_started_in() -> None:
    outer, inner = TimeBudget(1.0), TimeBudget(1.0)

    async def enter(budget: TimeBudget) -> None:
        with budget:
            pass

    with outer, inner:
        entering = [asyncio.ensure_future(enter(budget)) for budget in (outer, inner)]

    # By now the budgets are left, but not by the tasks.
    for each in entering:
        with pytest.raises(RuntimeError, match="twice"):
            await each


def test_a_call_gets_what_is_left(server, ask) -> None:
    with TimeBudget(5.0):
        ask("recommend", "42", client_options={"timeout_s": 30.0})
        ask("recommend", "42", client_options={"timeout_s": 1.0})

    assert 1.0 < server.times_remaining_s[0] <= 5.05
    assert server.times_remaining_s[1] <= 1.05


def test_no_call_is_made_when_nothing_is_left(server, ask) -> None:
    budget = TimeBudget(0.001)
    time.sleep(0.002)

    with budget, pytest.raises(DeadlineExceededError):
        ask("recommend", "42")

    assert server.requests == []


def test_a_thread_takes_part_with_a_copy_of_the_context(server) -> None:
    with (
        RecommenderClient(server.target, timeout_s=30.0) as client,
        TimeBudget(5.0),
        ThreadPoolExecutor() as threads,
    ):
        context = contextvars.copy_context()
        threads.submit(context.run, client.recommend, "42").result()

    assert server.times_remaining_s[0] <= 5.05


def watch_for_cancelling(server) -> threading.Event:
    """Makes the server hold its answers and tell when a caller has gone."""
    gone = threading.Event()

    def handler(request, context):
        context.add_callback(gone.set)
        server.released.wait(60)

    server.handle_recommend = handler
    return gone


def test_cancelling_a_budget_ends_blocking_calls_here_and_at_the_server(server) -> None:
    gone = watch_for_cancelling(server)
    budget = TimeBudget(60)

    def call() -> None:
        with RecommenderClient(server.target, timeout_s=60.0) as client, budget:
            client.recommend("42")

    with ThreadPoolExecutor() as threads:
        calling = threads.submit(call)
        assert server.arrived.wait(30)
        budget.cancel()
        with pytest.raises(CallCancelledError, match="budget was cancelled"):
            calling.result(30)

    assert gone.wait(30)


async def test_cancelling_a_budget_ends_asyncio_calls_here_and_at_the_server(server) -> None:
    gone = watch_for_cancelling(server)

    async with AsyncRecommenderClient(server.target, timeout_s=60.0) as client:
        with TimeBudget(60) as outer, TimeBudget(60):
            calling = asyncio.ensure_future(client.recommend("42"))
            assert await asyncio.to_thread(server.arrived.wait, 30)
            await asyncio.to_thread(outer.cancel)
            with pytest.raises(CallCancelledError, match="budget was cancelled"):
                await calling

    assert await asyncio.to_thread(gone.wait, 30)


def test_a_cancelled_budget_lets_no_call_begin(server, ask) -> None:
    with TimeBudget(60) as budget:
        budget.cancel()
        with pytest.raises(CallCancelledError):
            ask("recommend", "42")

    assert server.requests == []


async def test_cancelling_a_task_reaches_the_server_within_a_budget_too(server) -> None:
    gone = watch_for_cancelling(server)

    async with AsyncRecommenderClient(server.target, timeout_s=60.0) as client:
        with TimeBudget(60):
            calling = asyncio.ensure_future(client.recommend("42"))
            assert await asyncio.to_thread(server.arrived.wait, 30)
            calling.cancel()
            with pytest.raises(asyncio.CancelledError):
                await calling

    assert await asyncio.to_thread(gone.wait, 30)


def test_a_signal_handler_may_cancel_a_budget(server) -> None:
    gone = watch_for_cancelling(server)
    budget = TimeBudget(60)
    before = signal.signal(signal.SIGUSR1, lambda number, frame: budget.cancel())

    def send_signals() -> None:
        server.arrived.wait(30)
        # Python overlooks a signal that comes just before it begins to wait for a lock.
        while not budget.is_cancelled:
            os.kill(os.getpid(), signal.SIGUSR1)
            time.sleep(0.5)

    sending = threading.Thread(target=send_signals)
    try:
        sending.start()
        with (
            RecommenderClient(server.target, timeout_s=60.0) as client,
            budget,
            pytest.raises(CallCancelledError),
        ):
            client.recommend("42")
    finally:
        budget.cancel()
        sending.join()
        signal.signal(signal.SIGUSR1, before)

    assert gone.wait(30)


def test_cancelling_does_no_harm_when_the_event_loop_of_a_call_is_closed(server) -> None:
    """As in a thread that had begun to cancel when the loop ended."""
    tells = []

    class Kept(TimeBudget):
        def watch(self, tell) -> None:
            tells.append(tell)
            super().watch(tell)

    async def call() -> None:
        async with AsyncRecommenderClient(server.target, timeout_s=30.0) as client:
            with Kept(60):
                await client.recommend("42")

    asyncio.run(call())

    assert len(tells) == 1
    tells[0]()


def test_a_budget_forgets_calls_that_have_ended(server, ask) -> None:
    with TimeBudget(60) as outer, TimeBudget(60) as inner:
        for _ in range(3):
            ask("recommend", "42")

    assert (outer._stop._watchers, inner._stop._watchers) == (set(), set())


@pytest.mark.parametrize("kind", ["blocking", "asyncio"])
def test_a_call_that_is_being_sent_a_second_time_is_cancelled_too(server, kind) -> None:
    gone = watch_for_cancelling(server)
    options = {"timeout_s": 20.0, "config": ChannelConfig(hedge_after_s=0.05)}

    class Cancelling(HedgeBudget):
        def spend(self) -> bool:
            budget.cancel()
            return super().spend()

    def call_blocking() -> None:
        with RecommenderClient(server.target, **options) as client:
            client._calls._policy.hedges = Cancelling()
            client.recommend("42")

    async def call() -> None:
        async with AsyncRecommenderClient(server.target, **options) as client:
            client._calls._policy.hedges = Cancelling()
            await client.recommend("42")

    with TimeBudget(60) as budget, pytest.raises(CallCancelledError):
        call_blocking() if kind == "blocking" else asyncio.run(call())

    assert gone.wait(30)
