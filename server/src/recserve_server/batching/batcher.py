"""Gathers requests into batches; knows neither gRPC nor TensorFlow.

One batch runs at a time; what arrives meanwhile waits and forms the next. That one starts when it
is full, when as many callers wait as were there lately, or when the pause since the last batch has
become a fixed multiple of what that batch took (`batch_timeout_micros` at the most). So a lone
caller never waits, a few callers who are all waiting do not wait for more, and under load batches
grow with the price of a model call: nothing has to be tuned (docs/decisions/0009).
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from recserve_server.batching.pace import Pace
from recserve_server.batching.queue import BatchQueue, Caller
from recserve_server.batching.runner import BatchRunner
from recserve_server.config import BatchingConfig
from recserve_server.errors import (
    DeadlineTooShort,
    ExpiredInQueue,
    ModelFailed,
    NotReady,
    QueueFull,
    ServingError,
)
from recserve_server.stats import BatchStats

Request = TypeVar("Request")
Answer = TypeVar("Answer")

_log = logging.getLogger(__name__)


class MicroBatcher(Generic[Request, Answer]):
    """Answers requests through something that takes many; use it from one event loop."""

    def __init__(
        self,
        runner: BatchRunner[Request, Answer],
        config: BatchingConfig,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Takes what runs the batches.

        Args:
            runner: given 1 to `max_batch_size` requests at a time.
            config: sizes and times.
            clock: seconds, never going back.
        """
        self.stats = BatchStats()
        self.hanging = False
        """Whether a batch took longer than `watchdog_s` and is still under way."""
        self._runner, self._config, self._clock = runner, config, clock
        self._queue: BatchQueue[Request, Answer] = BatchQueue()
        self._retries: list[list[Caller[Request, Answer]]] = []
        self._running: list[Caller[Request, Answer]] | None = None
        self._pace = Pace(config)
        self._closed = False
        self._gathering: asyncio.Handle | None = None
        self._drained: asyncio.Future[None] | None = None

    @property
    def queue_depth(self) -> int:
        """Requests that wait for a batch."""
        return self._queue.request_count

    async def submit(self, request: Request, *, timeout_s: float | None = None) -> Answer:
        """Waits for one request's own answer.

        A caller that is cancelled leaves the queue at once; its request is not computed if its
        batch has not started.

        Args:
            request: what the runner takes.
            timeout_s: seconds after which the answer is worthless; None means never.

        Raises:
            QueueFull: there is no room in the queue; nothing was queued.
            DeadlineTooShort: the estimated wait is longer than the timeout; nothing was queued.
            ExpiredInQueue: the timeout passed before a batch took the request.
            ModelFailed: the model raised or broke its contract for this caller alone; a batch that
                fails is run again in halves, so that the others are answered.
            NotReady: the batcher is closed, or its model hangs.
        """
        return (await self.submit_group((request,), timeout_s=timeout_s))[0]

    async def submit_group(
        self, requests: Sequence[Request], *, timeout_s: float | None = None
    ) -> Sequence[Answer]:
        """Waits for the answers to some requests, in their order; all are answered, or none.

        They share a batch, or several if there are more than `max_batch_size`. Arguments and
        errors are those of `submit`, for the group as a whole.
        """
        callers: list[Caller[Request, Answer]] = []
        try:
            self._admit(len(requests), timeout_s)
            callers = self._enqueue(requests, timeout_s)
            if len(callers) == 1:
                return await callers[0].reply
            return [answer for caller in callers for answer in await caller.reply]
        except ServingError as error:
            self.stats.refused[error.reason] += len(requests)
            self._leave(callers)
            raise
        except asyncio.CancelledError:
            self._leave(callers)
            raise

    def replace(self, runner: BatchRunner[Request, Answer]) -> None:
        """Runs every further batch on `runner`; the one under way ends where it is.

        The old runner is not closed. If it hangs, nobody waits for it any more.
        """
        self._runner = runner
        if self.hanging:
            self._running = None
            self._pace.abandoned()
            self._recover("the model that did not answer was replaced")
            self._start_next()

    def check_hanging(self) -> None:
        """Lets everybody go whom a hanging model keeps waiting; to be called every now and then."""
        since_s = self._pace.running_since_s
        if since_s is None or self.hanging or self._clock() - since_s <= self._config.watchdog_s:
            return
        self.hanging = True
        self._stop_gathering()
        waiting = [*(self._running or ()), *(each for part in self._retries for each in part)]
        waiting += self._queue.clear()
        self._retries.clear()
        for each in waiting:
            each.fail(NotReady("the model does not answer"))
        _log.error("the model has not answered for %g s", self._config.watchdog_s)
        self._tell_if_drained()

    async def close(self) -> None:
        """Refuses new requests and answers those that wait, unless the model hangs."""
        self._closed = True
        self._drained = asyncio.get_running_loop().create_future()
        self._tell_if_drained()
        await self._drained
        self._runner.close()

    def _admit(self, size: int, timeout_s: float | None) -> None:
        if self._closed:
            raise NotReady("the server is going down")
        if self.hanging:
            raise NotReady("the model does not answer")
        if self._queue.request_count + size > self._config.max_enqueued:
            raise QueueFull(self._config.max_enqueued, self._pace.time_to_empty_s(self.queue_depth))
        if timeout_s is not None:
            wait_s = self._pace.estimated_wait_s(self._clock(), self.queue_depth)
            if timeout_s < wait_s:
                raise DeadlineTooShort(timeout_s, wait_s)

    def _enqueue(
        self, requests: Sequence[Request], timeout_s: float | None
    ) -> list[Caller[Request, Answer]]:
        now_s = self._clock()
        deadline_s = float("inf") if timeout_s is None else now_s + timeout_s
        size, loop = self._config.max_batch_size, asyncio.get_running_loop()
        callers = [
            Caller(requests[start : start + size], now_s, deadline_s, loop.create_future())
            for start in range(0, len(requests), size)
        ]
        for caller in callers:
            self._queue.append(caller)
        if self._running is None:
            self._consider()
        return callers

    def _leave(self, callers: Sequence[Caller[Request, Answer]]) -> None:
        for caller in callers:
            self._queue.discard(caller)
            caller.leave()

    def _consider(self) -> None:
        """Starts the next batch now, or once it has had the time to grow."""
        callers = len(self._queue)
        is_full = self.queue_depth >= self._config.max_batch_size
        if self._retries or is_full or self._pace.is_everybody_here(callers):
            self._start_next()
        elif callers and self._gathering is None:
            self._gather(self._pace.start_s(self._queue.oldest().enqueued_s))

    def _gather(self, until_s: float) -> None:
        if self._clock() >= until_s:
            self._start_next()
        else:
            # No timer: the event loop's are a millisecond coarse, longer than most of these waits.
            self._gathering = asyncio.get_running_loop().call_soon(self._gather, until_s)

    def _stop_gathering(self) -> None:
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None

    def _start_next(self) -> None:
        self._stop_gathering()
        while self._running is None and (self._retries or len(self._queue)):
            if self._retries:
                batch = self._still_wanted(self._retries.pop())
            else:
                batch = self._still_wanted(self._queue.take(self._config.max_batch_size))
            if batch:
                self._start(batch)
        self._tell_if_drained()

    def _still_wanted(self, batch: list[Caller[Request, Answer]]) -> list[Caller[Request, Answer]]:
        """Returns those whose answer is of use to someone; tells the others that it came late."""
        wanted = []
        now_s = self._clock()
        for each in batch:
            if each.deadline_s <= now_s:
                each.fail(ExpiredInQueue(now_s - each.enqueued_s))
            elif not each.reply.done():
                wanted.append(each)
        return wanted

    def _start(self, batch: list[Caller[Request, Answer]]) -> None:
        now_s = self._clock()
        self._pace.started(now_s)
        requests: list[Request] = []
        for each in batch:
            requests += each.requests
            self.stats.queue_wait_s.add(now_s - each.enqueued_s, len(each.requests))
        self.stats.batch_size.add(len(requests))
        self._running = batch

        def finish(answers: Sequence[Answer | ServingError], error: Exception | None) -> None:
            self._finish(batch, answers, error)

        self._runner.start(requests, finish)

    def _finish(
        self,
        batch: list[Caller[Request, Answer]],
        answers: Sequence[Answer | ServingError],
        error: Exception | None,
    ) -> None:
        if batch is not self._running:
            return  # nobody has waited for it since its runner was replaced
        if self.hanging and isinstance(error, ServingError):
            return  # the runner was ended
        self._running = None
        if self.hanging:
            self._recover("the model answers again")
        run_s = self._pace.finished(self._clock(), len(batch) + len(self._queue))
        self.stats.run_s.add(run_s)
        if error is None:
            self._pace.answered(run_s)
            self._answer(batch, answers)
        elif isinstance(error, ServingError):
            for each in batch:
                each.fail(error)
        else:
            self._blame(batch, error)
        self._consider()
        self._tell_if_drained()

    def _answer(
        self,
        batch: list[Caller[Request, Answer]],
        answers: Sequence[Answer | ServingError],
    ) -> None:
        start = 0
        for each in batch:
            stop = start + len(each.requests)
            if each.reply.done():
                self.stats.wasted += stop - start
            each.answer(answers[start:stop])
            start = stop

    def _blame(self, batch: list[Caller[Request, Answer]], error: Exception) -> None:
        """Fails a batch's only caller; has the halves of a larger one run each on its own."""
        self.stats.failed_batches += 1
        if len(batch) > 1:
            _log.warning("a batch of %d failed, its halves are run: %r", len(batch), error)
            middle = len(batch) // 2
            self._retries += (batch[middle:], batch[:middle])
            return
        _log.error("a request failed", exc_info=error)
        batch[0].fail(ModelFailed())

    def _recover(self, reason: str) -> None:
        self.hanging = False
        _log.warning(reason)

    def _tell_if_drained(self) -> None:
        busy = self._running is not None or self._retries or len(self._queue)
        if self._drained is not None and not self._drained.done() and (self.hanging or not busy):
            self._drained.set_result(None)
