"""Gathers single requests into batches; knows neither gRPC nor TensorFlow.

One batch runs at a time, on a thread of its own. What arrives meanwhile waits and forms the next
batch, so a lone request never waits for company and batches grow with the load.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count, islice
from typing import Generic, TypeVar

from recserve_server.config import BatchingConfig
from recserve_server.errors import (
    DeadlineTooShort,
    ExpiredInQueue,
    ModelFailed,
    NotReady,
    QueueFull,
)

Request = TypeVar("Request")
Answer = TypeVar("Answer")

_log = logging.getLogger(__name__)
_SHORTEST_RETRY_S = 0.01


@dataclass(slots=True)
class _Waiting(Generic[Request, Answer]):
    request: Request
    enqueued_s: float
    deadline_s: float
    answer: asyncio.Future[Answer]


class MicroBatcher(Generic[Request, Answer]):
    """Answers requests through one function that takes many; use it from one event loop."""

    def __init__(
        self,
        run: Callable[[Sequence[Request]], Sequence[Answer]],
        config: BatchingConfig,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Takes `run`, which answers a batch in order and may block.

        Args:
            run: called with 1 to `max_batch_size` requests, on one thread, one call at a time.
            config: sizes of batch and queue.
            clock: seconds, never going back.
        """
        self._run, self._config, self._clock = run, config, clock
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="batch")
        self._queue: dict[int, _Waiting[Request, Answer]] = {}
        self._tickets = count()
        self._worker: asyncio.Task[None] | None = None
        self._batch_s = 0.0
        self._running_since_s: float | None = None
        self._closed = False

    async def submit(self, request: Request, *, timeout_s: float | None = None) -> Answer:
        """Waits for this request's own answer.

        A caller that is cancelled leaves the queue at once; its request is not computed if its
        batch has not started.

        Args:
            request: anything that `run` takes.
            timeout_s: seconds after which the answer is worthless; None means never.

        Raises:
            QueueFull: `max_enqueued` requests are waiting; nothing was queued.
            DeadlineTooShort: the estimated wait is longer than the timeout; nothing was queued.
            ExpiredInQueue: the timeout passed before a batch took the request.
            ModelFailed: `run` raised or gave the wrong number of answers for this request alone;
                a batch that fails is run again in halves, so that who is not to blame is answered.
            NotReady: the batcher is closed.
        """
        if self._closed:
            raise NotReady("the server is going down")
        if len(self._queue) >= self._config.max_enqueued:
            raise QueueFull(self._config.max_enqueued, self._time_to_empty_s())
        wait_s = self._estimated_wait_s()
        if timeout_s is not None and timeout_s < wait_s:
            raise DeadlineTooShort(timeout_s, wait_s)
        now_s = self._clock()
        deadline_s = float("inf") if timeout_s is None else now_s + timeout_s
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        ticket = next(self._tickets)
        self._queue[ticket] = _Waiting(request, now_s, deadline_s, answer)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        try:
            return await answer
        finally:
            self._queue.pop(ticket, None)

    async def close(self) -> None:
        """Refuses new requests, answers those that wait, and frees the thread."""
        self._closed = True
        if self._worker is not None:
            await asyncio.wait([self._worker])
        self._executor.shutdown(wait=False)

    async def _work(self) -> None:
        while batch := self._next_batch():
            await self._answer(batch)

    def _next_batch(self) -> list[_Waiting[Request, Answer]]:
        batch: list[_Waiting[Request, Answer]] = []
        while self._queue and not batch:
            tickets = list(islice(self._queue, self._config.max_batch_size))
            batch = self._still_wanted([self._queue.pop(ticket) for ticket in tickets])
        return batch

    def _still_wanted(
        self, batch: list[_Waiting[Request, Answer]]
    ) -> list[_Waiting[Request, Answer]]:
        """Returns those whose answer is of use to someone; tells the others that it came late."""
        wanted = []
        now_s = self._clock()
        for waiting in batch:
            if waiting.answer.done():
                continue
            if waiting.deadline_s <= now_s:
                waiting.answer.set_exception(ExpiredInQueue(now_s - waiting.enqueued_s))
                continue
            wanted.append(waiting)
        return wanted

    async def _answer(self, batch: list[_Waiting[Request, Answer]]) -> None:
        start_s = self._clock()
        try:
            answers = await self._run_on_thread(batch)
        except Exception as error:
            if len(batch) == 1:
                _log.exception("a request failed")
            else:
                _log.warning("a batch of %d failed, its halves are run: %r", len(batch), error)
            await self._isolate(batch)
            return
        self._batch_s = self._clock() - start_s
        for waiting, answer in zip(batch, answers, strict=True):
            if not waiting.answer.done():
                waiting.answer.set_result(answer)

    async def _isolate(self, batch: list[_Waiting[Request, Answer]]) -> None:
        """Answers the halves of a failed batch each on its own, down to whoever is to blame."""
        if len(batch) == 1:
            if not batch[0].answer.done():
                batch[0].answer.set_exception(ModelFailed())
            return
        middle = len(batch) // 2
        for half in (batch[:middle], batch[middle:]):
            wanted = self._still_wanted(half)
            if wanted:
                await self._answer(wanted)

    async def _run_on_thread(self, batch: list[_Waiting[Request, Answer]]) -> Sequence[Answer]:
        requests = [waiting.request for waiting in batch]
        loop = asyncio.get_running_loop()
        self._running_since_s = self._clock()
        try:
            answers = await loop.run_in_executor(self._executor, self._run, requests)
        finally:
            self._running_since_s = None
        if len(answers) != len(batch):
            raise ValueError(f"{len(answers)} answers to {len(batch)} requests")
        return answers

    def _estimated_wait_s(self) -> float:
        """Returns the seconds until a new request's batch starts, if batches take what one took.

        Zero while nothing runs: one slow batch can then never keep later callers out for good.
        """
        if self._running_since_s is None:
            return 0.0
        left_s = max(0.0, self._running_since_s + self._batch_s - self._clock())
        return left_s + len(self._queue) // self._config.max_batch_size * self._batch_s

    def _time_to_empty_s(self) -> float:
        batches = len(self._queue) / self._config.max_batch_size
        return max(_SHORTEST_RETRY_S, batches * self._batch_s)
