"""Any number of users to calls of bounded size, answered in order: asyncio."""

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import TypeAlias

from ._errors import InvalidRequestError, RecommenderError
from ._many import USER_IDS, Many, note_users
from ._types import Recommendation

Ask: TypeAlias = Callable[[Sequence[str]], Awaitable[tuple[Recommendation, ...]]]


def answers_in_order(
    ask: Ask, user_ids: Iterable[str] | AsyncIterable[str], plan: Many
) -> AsyncIterator[Recommendation]:
    """Asks in tasks; see `AsyncRecommenderClient.recommend_many`."""
    if isinstance(user_ids, str | bytes):
        raise InvalidRequestError(f"user_ids: is {user_ids!r}, must be {USER_IDS}")
    return _answers(ask, _chunks(user_ids, plan.users_per_call), plan)


async def _answers(
    ask: Ask, chunks: AsyncIterator[list[str]], plan: Many
) -> AsyncIterator[Recommendation]:
    places = asyncio.Semaphore(plan.concurrency)
    calls: deque[tuple[list[str], asyncio.Task[tuple[Recommendation, ...]]]] = deque()
    answered_count = 0

    async def in_turn(users: list[str]) -> tuple[Recommendation, ...]:
        async with places:
            return await ask(users)

    try:
        while True:
            while len(calls) < plan.window and (users := await anext(chunks, None)):
                calls.append((users, asyncio.create_task(in_turn(users))))
            if not calls:
                return
            users, call = calls.popleft()
            try:
                answers = await call
            except RecommenderError as error:
                note_users(error, answered_count, users)
                raise
            answered_count += len(answers)
            plan.tell(answered_count)
            for answer in answers:
                yield answer
    finally:
        tasks = [task for _, task in calls]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _chunks(
    user_ids: Iterable[str] | AsyncIterable[str], size: int
) -> AsyncIterator[list[str]]:
    chunk: list[str] = []
    async for user_id in _each(user_ids):
        chunk.append(user_id)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


async def _each(user_ids: Iterable[str] | AsyncIterable[str]) -> AsyncIterator[str]:
    if isinstance(user_ids, AsyncIterable):
        async for user_id in user_ids:
            yield user_id
    else:
        for user_id in user_ids:
            yield user_id
