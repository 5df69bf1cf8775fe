"""Where the many users of `recommend_many` come from, and who stops asking."""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator

import pytest

from recserve_client import (
    AsyncRecommenderClient,
    RecommenderClient,
)

USERS = [f"u{number}" for number in range(1000)]


def held(server, count: int) -> threading.Semaphore:
    """Answers the first call when there are so many, and none of the others.

    The semaphore counts callers that have gone.
    """
    gone, answer = threading.Semaphore(0), server.handle_batch_recommend

    def handler(request, context):
        if request.requests[0].user_id == "u0":
            while len(server.requests) < count and not server.released.wait(0.01):
                pass
        else:
            context.add_callback(gone.release)
            server.released.wait(60)
        return answer(request, context)

    server.handle_batch_recommend = handler
    return gone


def test_whoever_stops_iterating_cancels_what_is_under_way(server) -> None:
    gone = held(server, 3)

    with RecommenderClient(server.target) as client:
        many = client.recommend_many(USERS, users_per_call=10, concurrency=3)
        assert next(many).user_id == "u0"
        many.close()
        for _ in range(2):
            assert gone.acquire(timeout=30)


async def test_leaving_an_asynchronous_iteration_cancels_what_is_under_way(server) -> None:
    gone = held(server, 3)

    async with AsyncRecommenderClient(server.target) as client:
        many = client.recommend_many(USERS, users_per_call=10, concurrency=3)
        async with contextlib.aclosing(many):
            assert (await anext(many)).user_id == "u0"
        for _ in range(2):
            assert await asyncio.to_thread(gone.acquire, timeout=30)


async def test_users_may_come_asynchronously(server) -> None:
    async def users() -> AsyncIterator[str]:
        for user in USERS[:25]:
            await asyncio.sleep(0)
            yield user

    async with AsyncRecommenderClient(server.target) as client:
        answers = [each async for each in client.recommend_many(users(), users_per_call=10)]

    assert [answer.user_id for answer in answers] == USERS[:25]


def test_users_are_read_as_they_are_needed(server) -> None:
    read = 0

    def users():
        nonlocal read
        for user in USERS:
            read += 1
            yield user

    with RecommenderClient(server.target) as client:
        many = client.recommend_many(users(), users_per_call=10, concurrency=2)
        next(many)
        assert read <= 50
        many.close()


async def test_an_answer_does_not_wait_for_users_who_are_slow_to_come(server) -> None:
    more = asyncio.Event()

    async def users() -> AsyncIterator[str]:
        for user in USERS[:10]:
            yield user
        await more.wait()
        yield "late"

    async with AsyncRecommenderClient(server.target) as client:
        many = client.recommend_many(users(), users_per_call=10)
        async with contextlib.aclosing(many):
            first = [(await asyncio.wait_for(anext(many), 30)).user_id for _ in range(10)]
            more.set()
            assert (await anext(many)).user_id == "late"

    assert first == USERS[:10]


def test_a_ready_answer_comes_before_more_users_are_read(server) -> None:
    def users():
        yield from USERS[:10]
        while len(server.requests) < 1:
            time.sleep(0.01)
        time.sleep(0.3)  # the answer is there by then
        yield from USERS[10:20]
        raise AssertionError("read on, though an answer was there")

    with RecommenderClient(server.target) as client:
        many = client.recommend_many(users(), users_per_call=10)
        assert next(many).user_id == "u0"
        many.close()


async def test_a_source_that_is_a_generator_is_closed_in_the_end(server) -> None:
    is_closed = False

    async def users() -> AsyncIterator[str]:
        nonlocal is_closed
        try:
            for user in USERS:
                yield user
        finally:
            await asyncio.sleep(0)
            is_closed = True

    source = users()
    async with AsyncRecommenderClient(server.target) as client:
        many = client.recommend_many(source, users_per_call=10)
        async with contextlib.aclosing(many):
            await anext(many)

    assert is_closed


class SourceError(Exception):
    pass


def test_a_source_that_fails_cancels_what_is_under_way(server) -> None:
    gone = held(server, 2)

    def users():
        yield from USERS[:20]
        while len(server.requests) < 2:
            time.sleep(0.01)
        raise SourceError

    with RecommenderClient(server.target) as client:
        many = client.recommend_many(users(), users_per_call=10)
        with pytest.raises(SourceError):
            list(many)
        assert gone.acquire(timeout=30)


async def test_an_asynchronous_source_that_fails_cancels_what_is_under_way(server) -> None:
    gone = held(server, 2)

    async def users() -> AsyncIterator[str]:
        for user in USERS[:20]:
            yield user
        while len(server.requests) < 2:
            await asyncio.sleep(0.01)
        raise SourceError

    async with AsyncRecommenderClient(server.target) as client:
        with pytest.raises(SourceError):
            async for _ in client.recommend_many(users(), users_per_call=10):
                pass
        assert await asyncio.to_thread(gone.acquire, timeout=30)


async def test_calls_are_made_while_whoever_iterates_is_busy_with_answers(server) -> None:
    async with AsyncRecommenderClient(server.target) as client:
        many = client.recommend_many(USERS, users_per_call=10, concurrency=2)
        async with contextlib.aclosing(many):
            await anext(many)
            async with asyncio.timeout(30):
                while len(server.requests) < 5:  # the answered one, and twice the concurrency
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
            assert len(server.requests) == 5
