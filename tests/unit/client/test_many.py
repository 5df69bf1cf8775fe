import asyncio
import threading
import time
from collections.abc import Callable

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo

from recserve_client import (
    AsyncRecommenderClient,
    InvalidRequestError,
    OverloadedError,
    Recommendation,
    RecommenderClient,
)
from recserve_client._many import Many, answers_in_order
from recserve_client._transport.budget import current_budget

USERS = [f"u{number}" for number in range(1000)]


@pytest.fixture(params=["blocking", "asyncio"])
def ask_many(request: pytest.FixtureRequest, server) -> Callable[..., list[Recommendation]]:
    """Asks for many users with a client of either kind."""

    def blocking(users, **options) -> list[Recommendation]:
        with RecommenderClient(server.target) as client:
            return list(client.recommend_many(users, **options))

    def through_asyncio(users, **options) -> list[Recommendation]:
        async def call() -> list[Recommendation]:
            async with AsyncRecommenderClient(server.target) as client:
                return [each async for each in client.recommend_many(users, **options)]

        return asyncio.run(call())

    return blocking if request.param == "blocking" else through_asyncio


def test_every_user_is_answered_in_order_by_calls_of_bounded_size(server, ask_many) -> None:
    progress: list[int] = []

    answers = ask_many(
        iter(USERS), users_per_call=150, concurrency=3, on_progress=progress.append, k=3
    )

    assert [answer.user_id for answer in answers] == USERS
    sizes = [len(request.requests) for request in server.requests]
    assert sorted(sizes) == [100, 150, 150, 150, 150, 150, 150]
    assert progress == [150, 300, 450, 600, 750, 900, 1000]
    assert {each.k for request in server.requests for each in request.requests} == {3}


def test_no_users_are_no_calls(server, ask_many) -> None:
    assert ask_many([]) == []
    assert server.requests == []


def test_no_more_calls_are_under_way_than_allowed(server, ask_many) -> None:
    running, most, lock = 0, 0, threading.Lock()
    answer = server.handle_batch_recommend

    def handler(request, context):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1
        return answer(request, context)

    server.handle_batch_recommend = handler

    ask_many(USERS, users_per_call=20, concurrency=3)

    assert most == 3


def test_slow_calls_do_not_change_the_order(server, ask_many) -> None:
    answer = server.handle_batch_recommend

    def handler(request, context):
        time.sleep(0.05 if request.requests[0].user_id == "u0" else 0)
        return answer(request, context)

    server.handle_batch_recommend = handler

    answers = ask_many(USERS[:100], users_per_call=10)

    assert [answer.user_id for answer in answers] == USERS[:100]


def test_an_overloaded_server_is_waited_for(server, ask_many) -> None:
    answered, answer = server.handle_recommend, server.handle_batch_recommend
    advice = RetryInfo(retry_delay=Duration(nanos=20_000_000))
    server.fail(grpc.StatusCode.RESOURCE_EXHAUSTED, "full", advice)
    refusal, server.handle_recommend = server.handle_recommend, answered

    def every_other_refused(request, context):
        return (refusal if len(server.requests) % 2 else answer)(request, context)

    server.handle_batch_recommend = every_other_refused

    assert len(ask_many(USERS[:200], users_per_call=20, concurrency=2)) == 200
    assert len(server.requests) > 10


def test_a_failed_call_tells_which_users_it_was_about(server, ask_many) -> None:
    answer = server.handle_batch_recommend

    def handler(request, context):
        if request.requests[0].user_id == "u20":
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too large")
        return answer(request, context)

    server.handle_batch_recommend = handler

    with pytest.raises(OverloadedError) as caught:
        ask_many(USERS[:100], users_per_call=10, concurrency=2)

    assert caught.value.__notes__ == ["it is about users 20 to 29, 'u20' to 'u29'"]


@pytest.mark.parametrize(
    "options",
    [
        {"users_per_call": 0},
        {"users_per_call": 257},
        {"concurrency": 0},
        {"concurrency": 65},
        {"timeout_s": 0},
    ],
)
def test_arguments_out_of_range_are_refused_by_name(server, ask_many, options) -> None:
    with pytest.raises(InvalidRequestError, match="|".join(options)):
        ask_many(USERS, **options)


def test_one_user_id_is_not_taken_for_many(server, ask_many) -> None:
    with pytest.raises(InvalidRequestError, match="an iterable of user ids"):
        ask_many("u1")


def test_mistakes_are_told_before_the_first_step(server) -> None:
    with RecommenderClient(server.target) as client, pytest.raises(InvalidRequestError):
        client.recommend_many(USERS, concurrency=0)


def test_all_calls_together_may_take_as_long_as_they_need() -> None:
    left_s = []

    def ask(users) -> tuple[Recommendation, ...]:
        time.sleep(0.01)
        left_s.append(current_budget().remaining_s)
        return ()

    list(answers_in_order(ask, USERS[:30], Many(10, 1, 5.0, None)))

    assert left_s[0] == left_s[1] == left_s[2] > 5.0
