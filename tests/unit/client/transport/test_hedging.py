import asyncio
import threading
import time

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo

from recserve_client import (
    AsyncRecommenderClient,
    Call,
    CallHook,
    ChannelConfig,
    Event,
    EventType,
    InvalidRequestError,
    RecommenderClient,
    UnavailableError,
)
from recserve_client._transport.retrying import HedgeBudget

HEDGED = ChannelConfig(hedge_after_s=0.05, max_attempts=1)
OPTIONS = {"timeout_s": 30.0, "config": HEDGED}


def hold_the_first(server) -> threading.Event:
    """Makes the first call hang; the event tells that its caller has gone."""
    gone, answer = threading.Event(), server.handle_recommend

    def handler(request, context):
        if len(server.requests) == 1:
            context.add_callback(gone.set)
            server.released.wait(60)
        return answer(request, context)

    server.handle_recommend = handler
    return gone


def test_the_second_answer_counts_when_the_first_is_late(server, ask) -> None:
    gone = hold_the_first(server)

    recommendation = ask("recommend", "42", client_options=OPTIONS)

    assert recommendation.items
    assert len(server.requests) == 2
    assert gone.wait(30), "the late call is cancelled"


def test_a_quick_answer_needs_no_second_call(server, ask) -> None:
    patient = ChannelConfig(hedge_after_s=30)

    ask("recommend", "42", client_options={"timeout_s": 30.0, "config": patient})

    assert len(server.requests) == 1


def test_writes_are_not_sent_twice(server, ask) -> None:
    answer = server.handle_record_events

    def slowly(request, context):
        time.sleep(0.3)
        return answer(request, context)

    server.handle_record_events = slowly

    ask("record_events", [Event("42", "50", EventType.LIKE)], client_options=OPTIONS)

    assert len(server.requests) == 1


def test_a_failure_of_one_waits_for_the_other(server, ask) -> None:
    answer = server.handle_recommend
    second = threading.Event()

    def handler(request, context):
        if len(server.requests) == 1:
            second.wait(30)
            time.sleep(0.1)
            return answer(request, context)
        second.set()
        return context.abort(grpc.StatusCode.UNAVAILABLE, "down")

    server.handle_recommend = handler

    assert ask("recommend", "42", client_options=OPTIONS).items


def test_when_both_fail_the_last_failure_is_told(server, ask) -> None:
    def handler(request, context):
        time.sleep(0.2)
        return context.abort(grpc.StatusCode.UNAVAILABLE, "down")

    server.handle_recommend = handler

    with pytest.raises(UnavailableError, match="down"):
        ask("recommend", "42", client_options=OPTIONS)


def test_an_early_failure_is_told_at_once(server, ask) -> None:
    server.fail(grpc.StatusCode.INVALID_ARGUMENT, "no")

    with pytest.raises(InvalidRequestError):
        ask("recommend", "42", client_options=OPTIONS)

    assert len(server.requests) == 1


def test_a_hook_sees_that_a_call_was_hedged(server) -> None:
    hold_the_first(server)
    calls: list[Call] = []

    class Keep(CallHook):
        def call_ended(self, call: Call) -> None:
            calls.append(call)

    with RecommenderClient(server.target, **OPTIONS, hooks=[Keep()]) as client:
        client.recommend("42")
        client.recommend("42")

    assert [(call.was_hedged, call.sent_count) for call in calls] == [(True, 2), (False, 1)]


def test_a_call_stays_hedged_when_it_is_made_again_without(server) -> None:
    calls: list[Call] = []

    class Keep(CallHook):
        def call_ended(self, call: Call) -> None:
            calls.append(call)

    answer = server.handle_recommend
    server.fail(grpc.StatusCode.RESOURCE_EXHAUSTED, "full", RetryInfo(retry_delay=Duration()))
    refusal = server.handle_recommend

    def handler(request, context):
        number = len(server.requests)
        time.sleep(0.3)
        return (refusal if number <= 2 else answer)(request, context)

    server.handle_recommend = handler
    config = ChannelConfig(hedge_after_s=0.05, max_attempts=1, wait_when_told=True)
    with RecommenderClient(server.target, timeout_s=30.0, config=config, hooks=[Keep()]) as client:
        while client._calls._policy.hedges._tokens > 10:
            client._calls._policy.hedges.spend()
        client.recommend("42")

    assert [(call.was_hedged, call.sent_count) for call in calls] == [(True, 3)]


async def test_cancelling_a_task_cancels_both_calls(server) -> None:
    gone = threading.Semaphore(0)

    def handler(request, context):
        context.add_callback(gone.release)
        server.released.wait(60)

    server.handle_recommend = handler

    async with AsyncRecommenderClient(server.target, **OPTIONS) as client:
        calling = asyncio.ensure_future(client.recommend("42"))
        while len(server.requests) < 2:
            await asyncio.sleep(0.01)
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        for _ in range(2):
            assert await asyncio.to_thread(gone.acquire, timeout=30)


def test_one_call_in_ten_is_hedged_at_most() -> None:
    budget = HedgeBudget()
    at_first = sum(budget.spend() for _ in range(100))

    hedged = 0
    for _ in range(1000):
        budget.earn()
        hedged += budget.spend()

    assert at_first == 10
    assert hedged == 100
