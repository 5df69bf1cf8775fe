import asyncio
import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo

from recserve_client import (
    AsyncRecommenderClient,
    CallCancelledError,
    ChannelConfig,
    DeadlineExceededError,
    OverloadedError,
    RecommenderClient,
    TimeBudget,
    UnavailableError,
    UnusableClientError,
)
from recserve_client._transport.retrying import wait_before_retry_s

PATIENT = {"timeout_s": 30.0, "config": ChannelConfig(wait_when_told=True)}
NO_RETRIES = {
    "timeout_s": 30.0,
    "config": ChannelConfig(wait_when_told=True, max_attempts=1),
}


def refuse(server, times: int, code=grpc.StatusCode.RESOURCE_EXHAUSTED, delay_ms=50) -> None:
    """Makes the server refuse so many calls with the advice to come back."""
    answer = server.handle_recommend
    delay = Duration()
    delay.FromMilliseconds(delay_ms)
    advice = RetryInfo(retry_delay=delay)
    server.fail(code, "full", advice)
    refusal = server.handle_recommend

    def handler(request, context):
        return (refusal if len(server.requests) <= times else answer)(request, context)

    server.handle_recommend = handler


def test_a_refused_call_is_made_again_after_the_time_the_server_asks_for(server, ask) -> None:
    refuse(server, 2)
    began_s = time.monotonic()

    recommendation = ask("recommend", "42", client_options=PATIENT)

    assert recommendation.items
    assert len(server.requests) == 3
    assert time.monotonic() - began_s >= 0.1


def test_waiting_is_for_a_server_that_starts_as_well(server, ask) -> None:
    refuse(server, 1, grpc.StatusCode.UNAVAILABLE)

    assert ask("recommend", "42", client_options=NO_RETRIES).items
    assert len(server.requests) == 2


def test_without_being_asked_the_client_does_not_wait(server, ask) -> None:
    refuse(server, 1)

    with pytest.raises(OverloadedError) as caught:
        ask("recommend", "42")

    assert caught.value.retry_after_s == 0.05


def test_a_wait_beyond_the_deadline_is_not_begun(server, ask) -> None:
    refuse(server, 1, delay_ms=100_000)

    with pytest.raises(OverloadedError):
        ask("recommend", "42", client_options=PATIENT)

    assert len(server.requests) == 1


def test_nothing_is_waited_for_without_advice(server, ask) -> None:
    server.fail(grpc.StatusCode.RESOURCE_EXHAUSTED, "too large")

    with pytest.raises(OverloadedError):
        ask("recommend", "42", client_options=PATIENT)

    assert len(server.requests) == 1


def test_a_server_that_says_at_once_is_not_asked_in_a_tight_loop() -> None:
    wait_s = wait_before_retry_s(OverloadedError("full", retry_after_s=0.0), 1.0)

    assert 0.01 <= wait_s < 1.0


@pytest.mark.parametrize("budget", [contextlib.nullcontext, lambda: TimeBudget(60)])
def test_closing_the_client_ends_a_wait(server, budget) -> None:
    refuse(server, 1, delay_ms=20_000)
    client = RecommenderClient(server.target, **PATIENT)

    def call() -> None:
        with budget():
            client.recommend("42")

    with ThreadPoolExecutor() as threads:
        calling = threads.submit(call)
        assert server.arrived.wait(30)
        time.sleep(0.05)  # now and then it is closed before the wait; both must end
        client.close()
        with pytest.raises((UnusableClientError, OverloadedError)):
            calling.result(15)


async def test_closing_an_asyncio_client_ends_a_wait(server) -> None:
    refuse(server, 1, delay_ms=20_000)
    client = AsyncRecommenderClient(server.target, **PATIENT)

    calling = asyncio.create_task(client.recommend("42"))
    assert await asyncio.to_thread(server.arrived.wait, 30)
    await asyncio.sleep(0.05)
    await client.close()
    with pytest.raises(UnusableClientError):
        await asyncio.wait_for(calling, 15)


def test_cancelling_the_budget_ends_a_wait(server) -> None:
    refuse(server, 1, delay_ms=20_000)
    budget = TimeBudget(60)

    def call() -> None:
        with RecommenderClient(server.target, **PATIENT) as client, budget:
            client.recommend("42")

    with ThreadPoolExecutor() as threads:
        calling = threads.submit(call)
        assert server.arrived.wait(30)
        threading.Timer(0.05, budget.cancel).start()
        with pytest.raises(CallCancelledError):
            calling.result(15)


def test_retries_of_grpc_stop_while_most_calls_fail(server) -> None:
    """The retry budget: 10 tokens, one lost with each failure, none spent below half."""
    server.fail(grpc.StatusCode.UNAVAILABLE, "down")
    config = ChannelConfig(max_attempts=5, initial_backoff_s=0.01, max_backoff_s=0.01)

    with RecommenderClient(server.target, config=config, timeout_s=30.0) as client:
        for _ in range(20):
            with pytest.raises(UnavailableError):
                client.recommend("42")

    assert len(server.requests) < 20 + 10


def test_retries_of_grpc_end_with_the_deadline(server, ask) -> None:
    server.fail(grpc.StatusCode.UNAVAILABLE, "down")
    config = ChannelConfig(initial_backoff_s=30.0, max_backoff_s=30.0)
    began_s = time.monotonic()

    with pytest.raises((DeadlineExceededError, UnavailableError)):
        ask("recommend", "42", client_options={"timeout_s": 0.3, "config": config})

    assert time.monotonic() - began_s < 15
