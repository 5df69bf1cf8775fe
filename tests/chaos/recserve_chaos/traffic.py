"""Drives mixed load through the SDK and has every answer checked."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

from recserve_client import AsyncRecommenderClient, ChannelConfig, RecommenderError, Tls
from recserve_client._transport.outcome import code_name

from .certificates import SERVER_NAME
from .feedback import Feedback
from .ledger import Call, Ledger
from .oracle import Answer, Oracle
from .questions import Kind, Question

Make = Callable[[], Awaitable[tuple[str, bool]]]
TIMEOUT_S: Final = 3.0
_MOST_UNDER_WAY: Final = 1500
_TRIES_S: Final = 60.0
"""How long an event is sent again."""


@dataclass(frozen=True)
class Mix:
    """How much is asked, per second."""

    questions_per_s: float = 110.0
    reads_of_events_per_s: float = 15.0
    writes_per_s: float = 6.0


@dataclass
class Traffic:
    """The load; runs until it is stopped."""

    client: AsyncRecommenderClient
    oracle: Oracle
    questions: Sequence[Question]
    feedback: Feedback
    ledger: Ledger
    mix: Mix = field(default_factory=Mix)
    random: Random = field(default_factory=Random)
    unsent: int = 0
    """Calls that were left out since too many were under way."""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _arriving: list[asyncio.Task[None]] = field(default_factory=list)
    _failed: BaseException | None = None

    def start(self) -> None:
        """Begins, at random times."""
        streams = (
            (self.mix.questions_per_s, self._ask),
            (self.mix.reads_of_events_per_s, self._ask_recorded),
            (self.mix.writes_per_s, self._record),
        )
        self._arriving = [asyncio.create_task(self._arrive(*each)) for each in streams]

    async def stop(self) -> None:
        """Sends nothing new and waits for what is under way."""
        for task in self._arriving:
            task.cancel()
        await asyncio.gather(*self._arriving, return_exceptions=True)
        while self._tasks:
            await asyncio.wait(list(self._tasks))

    def check(self) -> None:
        """Raises what a task failed with, if that was no call: a mistake of the harness."""
        if self._failed is not None:
            raise self._failed
        for task in self._arriving:
            if task.done():
                task.result()

    async def _arrive(self, per_s: float, act) -> None:
        due_s = time.monotonic()
        while True:
            due_s = max(due_s + self.random.expovariate(per_s), time.monotonic() - 1.0)
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            if len(self._tasks) >= _MOST_UNDER_WAY:
                self.unsent += 1
                continue
            task = asyncio.create_task(act())
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._failed = task.exception()

    async def _ask(self) -> None:
        question = self.random.choice(self.questions)

        async def ask() -> tuple[str, bool]:
            answers = await asked(self.client, question)
            degraded = any(getattr(each, "is_degraded", False) for each in answers)
            return self.oracle.problem(question, answers), degraded

        await self._counted(ask, str(question))

    async def _ask_recorded(self) -> None:
        user_id = self.random.choice(self.feedback.names.event_users)
        k = self.random.choice([5, 20, 100])
        surely = self.feedback.surely(user_id)

        async def ask() -> tuple[str, bool]:
            answer = await self.client.recommend(user_id, k=k)
            told = self.feedback.recorded(user_id, surely)
            problem = self.oracle.problem_of_recorded(user_id, k, answer, told)
            return problem, answer.is_degraded

        await self._counted(ask, f"{user_id}, k = {k}")

    async def _record(self) -> None:
        events = self.feedback.draw(self.random)
        self.feedback.send(events)

        async def record() -> tuple[str, bool]:
            answer = await self.client.record_events(events)
            self.feedback.acknowledge(events, time.monotonic())
            counted = answer.recorded_count + answer.duplicate_count
            return "" if counted == len(events) else f"{counted} of {len(events)} told", False

        end_s = time.monotonic() + _TRIES_S
        while time.monotonic() < end_s:
            # The same ids each time: whether the try before was kept is not known.
            if await self._counted(record, f"{len(events)} events", is_write=True):
                return
            await asyncio.sleep(0.5)
        self.feedback.given_up += len(events)

    async def _counted(self, make: Make, about: str, *, is_write: bool = False) -> bool:
        """Makes a call that returns its problem and whether it is degraded; counts it."""
        start_s, status, problem, is_degraded = time.monotonic(), "OK", "", False
        try:
            problem, is_degraded = await make()
        except RecommenderError as error:
            status, about = code_name(error), f"{error} ({error.reason}): {about}"
        call = Call(start_s, time.monotonic(), status, is_write, problem, is_degraded)
        self.ledger.count(call, about)
        return status == "OK"


async def asked(client: AsyncRecommenderClient, question: Question) -> list[Answer]:
    """Makes a question's call."""
    options = dict(question.options)
    if question.kind is Kind.BATCH:
        return list(await client.recommend_batch(question.users, **options))
    if question.kind is Kind.SIMILAR:
        return [await client.find_similar_items(question.item_ids, **options)]
    [user_id] = question.users
    if question.kind is Kind.RANK:
        return [await client.rank_items(question.item_ids, user_id=user_id, **options)]
    return [await client.recommend(user_id, **options)]


def open_client(
    addresses: Sequence[str], roots: bytes | None, *, patient: bool = True
) -> AsyncRecommenderClient:
    """Opens a client as one that cares would: hedged reads, and waits where it is told to."""
    config = ChannelConfig(
        tls=None if roots is None else Tls(root_certificates=roots, server_name=SERVER_NAME),
        max_attempts=5 if patient else 1,
        wait_when_told=patient,
        hedge_after_s=0.5 if patient else None,
        keepalive_s=15.0,  # pings exactly as often as a server allows are too often now and then
        max_reconnect_s=2.0,
    )
    return AsyncRecommenderClient(list(addresses), config=config, timeout_s=TIMEOUT_S)
