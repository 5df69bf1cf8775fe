"""Calls that wait for a token which does not come."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from recserve_client import (
    AsyncRecommenderClient,
    BearerToken,
    Call,
    CallCancelledError,
    CallHook,
    ChannelConfig,
    DeadlineExceededError,
    RecommenderClient,
    TimeBudget,
    UnusableClientError,
)


def config(token) -> ChannelConfig:
    return ChannelConfig(bearer_token=token, token_in_plain_text=True)


class Keep(CallHook):
    def __init__(self) -> None:
        self.calls: list[Call] = []

    def call_ended(self, call: Call) -> None:
        self.calls.append(call)


@pytest.fixture
def stuck():
    """What fetches a token and is not done before the test ends."""
    released = threading.Event()
    yield lambda: released.wait(60) and BearerToken("late")
    released.set()


def test_a_call_waits_for_a_token_no_longer_than_its_deadline(server, ask, stuck) -> None:
    hook = Keep()
    options = {"timeout_s": 0.2, "config": config(stuck), "hooks": [hook]}

    with pytest.raises(DeadlineExceededError, match="no bearer token before the deadline"):
        ask("recommend", "42", client_options=options)

    assert server.requests == []
    assert [call.code for call in hook.calls] == ["DEADLINE_EXCEEDED"]


def test_calls_that_wait_for_the_same_token_each_keep_their_deadline(server, stuck) -> None:
    with (
        RecommenderClient(server.target, config=config(stuck)) as client,
        ThreadPoolExecutor(4) as threads,
    ):
        calls = [threads.submit(client.recommend, "42", timeout_s=0.2) for _ in range(4)]
        for call in calls:
            with pytest.raises(DeadlineExceededError):
                call.result(30)


def test_cancelling_the_budget_ends_the_wait_for_a_token(server, ask, stuck) -> None:
    with TimeBudget(60) as budget:
        threading.Timer(0.05, budget.cancel).start()
        with pytest.raises(CallCancelledError):
            ask("recommend", "42", client_options={"timeout_s": 60.0, "config": config(stuck)})


async def test_closing_the_client_ends_the_wait_for_a_token(server, stuck) -> None:
    options = {"config": config(stuck), "timeout_s": 60.0}
    blocking = RecommenderClient(server.target, **options)
    threading.Timer(0.05, blocking.close).start()
    with pytest.raises(UnusableClientError):
        await asyncio.to_thread(blocking.recommend, "42")

    client = AsyncRecommenderClient(server.target, **options)
    calling = asyncio.create_task(client.recommend("42"))
    await asyncio.sleep(0.05)
    await client.close()
    with pytest.raises(UnusableClientError):
        await calling
