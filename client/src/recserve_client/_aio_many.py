"""Any number of users to calls of bounded size, answered in order: asyncio."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from typing import TypeAlias

from ._errors import InvalidRequestError, RecommenderError
from ._many import USER_IDS, Many, note_users
from ._types import Recommendation

Ask: TypeAlias = Callable[[Sequence[str]], Awaitable[tuple[Recommendation, ...]]]
_Call: TypeAlias = tuple[list[str], "asyncio.Task[tuple[Recommendation, ...]]"]


def answers_in_order(
    ask: Ask, user_ids: Iterable[str] | AsyncIterable[str], plan: Many
) -> AsyncGenerator[Recommendation, None]:
    """Asks in tasks; see `AsyncRecommenderClient.recommend_many`."""
    if isinstance(user_ids, str | bytes):
        raise InvalidRequestError(f"user_ids: is {user_ids!r}, must be {USER_IDS}")
    return _answers(_Asking(ask, _chunks(user_ids, plan.users_per_call), plan))


class _Asking:
    """Calls under way or answered, in order, and the users of the next one."""

    def __init__(self, ask: Ask, chunks: AsyncGenerator[list[str], None], plan: Many) -> None:
        self.plan = plan
        self._ask, self._chunks = ask, chunks
        self._places = asyncio.Semaphore(plan.concurrency)
        self._calls: deque[_Call] = deque()
        self._reading: asyncio.Task[list[str] | None] | None = None
        self._is_read = False

    async def head(self) -> _Call | None:
        """Waits for the answer to the first users that have none yet; None after the last.

        Meanwhile and afterwards users are read and asked for, as far as there is room.
        """
        while True:
            self._read_on()
            head = self._calls[0][1] if self._calls else None
            if head is not None and head.done():
                call = self._calls.popleft()
                self._read_on()
                return call
            # An answer that is there must not wait for users who are slow to come.
            waited = [each for each in (self._reading, head) if each is not None]
            if not waited:
                return None
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if self._reading is not None and self._reading.done():
                self._reading.result()  # raises what the source did

    async def cancel(self) -> None:
        """Ends what is under way."""
        self._is_read = True
        tasks: list[asyncio.Task[object]] = [task for _, task in self._calls]
        if self._reading is not None:
            tasks.append(self._reading)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._chunks.aclose()

    def _read_on(self) -> None:
        if self._reading is None and not self._is_read and len(self._calls) < self.plan.window:
            self._reading = asyncio.create_task(self._next_users())
            # Not in `head`, lest no call be made while whoever iterates is busy with answers.
            self._reading.add_done_callback(self._take_users)

    def _take_users(self, reading: "asyncio.Task[list[str] | None]") -> None:
        if self._is_read or reading.cancelled() or reading.exception() is not None:
            return
        users, self._reading = reading.result(), None
        if users is None:
            self._is_read = True
        else:
            self._calls.append((users, asyncio.create_task(self._in_turn(users))))
            self._read_on()

    async def _next_users(self) -> list[str] | None:
        return await anext(self._chunks, None)

    async def _in_turn(self, users: list[str]) -> tuple[Recommendation, ...]:
        async with self._places:
            return await self._ask(users)


async def _answers(asking: _Asking) -> AsyncGenerator[Recommendation, None]:
    answered_count = 0
    try:
        while (head := await asking.head()) is not None:
            users, call = head
            try:
                answers = call.result()
            except RecommenderError as error:
                note_users(error, answered_count, users)
                raise
            answered_count += len(answers)
            asking.plan.tell(answered_count)
            for answer in answers:
                yield answer
    finally:
        await asking.cancel()


async def _chunks(
    user_ids: Iterable[str] | AsyncIterable[str], size: int
) -> AsyncGenerator[list[str], None]:
    chunk: list[str] = []
    async with aclosing(_each(user_ids)) as users:
        async for user_id in users:
            chunk.append(user_id)
            if len(chunk) == size:
                yield chunk
                chunk = []
    if chunk:
        yield chunk


async def _each(
    user_ids: Iterable[str] | AsyncIterable[str],
) -> AsyncGenerator[str, None]:
    if isinstance(user_ids, AsyncGenerator):
        # Nobody else knows when it is not needed any more, and it may hold a connection.
        async with aclosing(user_ids):
            async for user_id in user_ids:
                yield user_id
    elif isinstance(user_ids, AsyncIterable):
        async for user_id in user_ids:
            yield user_id
    else:
        for user_id in user_ids:
            yield user_id
