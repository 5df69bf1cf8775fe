"""Gathers requests into batches; knows neither gRPC nor TensorFlow.

One batch runs at a time; what arrives meanwhile waits and forms the next. That one starts when it
is full, when as many callers wait as were there lately, or when the pause since the last batch has
become a fixed multiple of what that batch took (`batch_timeout_micros` at the most). So a lone
caller never waits, a few callers who are all waiting do not wait for more, and under load batches
grow with the price of a model call: nothing has to be tuned (docs/decisions/0009).

Who is taken into a batch is a matter of priority first and of fairness between tenants then; a full
queue lets go of the newest of whoever has most waiting.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

from recserve_server.batching.admission import Admission
from recserve_server.batching.caller import Batch, Caller, callers_of, still_waiting
from recserve_server.batching.pace import Pace
from recserve_server.batching.queue import BatchQueue
from recserve_server.batching.runner import BatchRunner
from recserve_server.batching.terms import Terms
from recserve_server.config import BatchingConfig
from recserve_server.errors import ModelFailed, NotReady, ServingError
from recserve_server.stats import BatchStats

Request = TypeVar("Request")
Answer = TypeVar("Answer")

_log = logging.getLogger(__name__)
_USUAL: Final = Terms()


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
        self._running: Batch[Request, Answer] | None = None
        self._pace = Pace(config)
        self._admission = Admission(config, self._queue, self._pace)
        self._closed = False
        self._gathering: asyncio.Handle | None = None
        self._drained = asyncio.Event()

    @property
    def queue_depth(self) -> int:
        """Requests that wait for a batch."""
        return self._queue.request_count

    @property
    def tenant_count(self) -> int:
        """Tenants with requests that wait for a batch."""
        return self._queue.tenant_count

    async def submit(self, request: Request, terms: Terms = _USUAL) -> Answer:
        """Waits for one request's own answer.

        A caller that is cancelled leaves the queue at once; its request is not computed if its
        batch has not started.

        Args:
            request: what the runner takes.
            terms: how long the answer is of use, and with whom the queue is shared.

        Raises:
            QueueFull: there is no room in the queue, or the estimated wait is longer than
                `max_queue_delay_ms`; or the request was queued and had to make room for that of a
                tenant with fewer requests, or of a higher priority.
            DeadlineTooShort: the answer would come after the timeout; nothing was queued.
            ExpiredInQueue: the timeout passed before a batch took the request.
            ModelFailed: the model raised or broke its contract for this caller alone; a batch that
                fails is run again in halves, so that the others are answered.
            NotReady: the batcher is closed, or its model hangs.
        """
        callers: Sequence[Caller[Request, Answer]] = ()
        try:
            callers = self._enqueue((request,), terms)
            return (await callers[0].reply)[0]
        except (ServingError, asyncio.CancelledError) as error:
            self._leave(callers, 1, error)
            raise

    async def submit_group(
        self, requests: Sequence[Request], terms: Terms = _USUAL
    ) -> Sequence[Answer]:
        """Waits for the answers to some requests, in their order; all are answered, or none.

        They share a batch; or several, if there are more than `max_batch_size` or their priority
        is that of batch work. Arguments and errors are those of `submit`, for the group as a whole.
        """
        callers: Sequence[Caller[Request, Answer]] = ()
        try:
            callers = self._enqueue(requests, terms)
            if len(callers) == 1:
                return await callers[0].reply
            return [answer for caller in callers for answer in await caller.reply]
        except (ServingError, asyncio.CancelledError) as error:
            self._leave(callers, len(requests), error)
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
        """Looks after what does not go on by itself; to be called every now and then.

        A model that hangs: everybody whom it keeps waiting is let go. A batch that nobody starts
        although callers wait, by a defect of the batcher: it is started.
        """
        if self.hanging:
            return
        since_s = self._pace.running_since_s
        if since_s is None:
            self._wake_if_stuck()
        elif self._clock() - since_s > self._config.watchdog_s:
            self._let_everybody_go()

    async def close(self) -> None:
        """Refuses new requests and answers those that wait, unless the model hangs."""
        self._closed = True
        self._tell_if_drained()
        await self._drained.wait()
        self._runner.close()

    def _enqueue(
        self, requests: Sequence[Request], terms: Terms
    ) -> Sequence[Caller[Request, Answer]]:
        if self._closed:
            raise NotReady("the server is going down")
        if self.hanging:
            raise NotReady("the model does not answer")
        now_s = self._clock()
        for victim in self._admission.admit(terms, len(requests), now_s):
            self._queue.discard(victim)
            self.stats.evicted += len(victim.requests)
            victim.fail(self._admission.queue_full())
        callers: Sequence[Caller[Request, Answer]]
        callers = callers_of(requests, terms, now_s, self._config.max_batch_size)
        for caller in callers:
            self._queue.append(caller)
        if self._running is None:
            self._consider()
        return callers

    def _leave(
        self, callers: Sequence[Caller[Request, Answer]], size: int, error: BaseException
    ) -> None:
        if isinstance(error, ServingError):
            self.stats.refused[error.reason] += size
        for caller in callers:
            self._queue.discard(caller)
            caller.leave()

    def _consider(self) -> None:
        """Starts the next batch now, or once it has had the time to grow."""
        callers = self._queue.caller_count
        is_full = self._queue.request_count >= self._config.max_batch_size
        if self._retries or is_full or self._pace.is_everybody_here(callers):
            self._start_next()
        elif not callers:
            self._tell_if_drained()
        elif self._gathering is None:
            self._gather(self._pace.start_s(self._queue.oldest_s()))

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
        while self._running is None and (self._retries or self._queue.caller_count):
            now_s = self._clock()
            if self._retries:
                callers = self._retries.pop()
            else:
                callers = self._queue.take(self._config.max_batch_size)
            if waiting := still_waiting(callers, now_s):
                self._start(Batch(waiting), now_s)
        self._tell_if_drained()

    def _start(self, batch: Batch[Request, Answer], now_s: float) -> None:
        self._running = batch
        self._pace.started(now_s)
        batch.start(now_s, self.stats)

        def finish(answers: Sequence[Answer | ServingError], error: Exception | None) -> None:
            self._finish(batch, answers, error)

        self._runner.start(batch.requests, finish)

    def _finish(
        self,
        batch: Batch[Request, Answer],
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
        now_s = self._clock()
        batch.end(now_s)
        run_s = self._pace.finished(now_s, len(batch.callers) + self._queue.caller_count)
        self.stats.run_s.add(run_s)
        if error is None:
            self._pace.answered(run_s)
            self.stats.wasted += batch.answer(answers)
        elif isinstance(error, ServingError):
            batch.fail(error)
        else:
            self._blame(batch.callers, error)
        self._consider()

    def _blame(self, callers: list[Caller[Request, Answer]], error: Exception) -> None:
        """Fails a batch's only caller; has the halves of a larger one run each on its own."""
        self.stats.failed_batches += 1
        if len(callers) > 1:
            _log.warning("a batch of %d failed, its halves are run: %r", len(callers), error)
            middle = len(callers) // 2
            self._retries += (callers[middle:], callers[:middle])
            return
        _log.error("a request failed", exc_info=error)
        callers[0].fail(ModelFailed())

    def _let_everybody_go(self) -> None:
        self.hanging = True
        self._stop_gathering()
        waiting = [*self._running.callers] if self._running else []
        waiting += (each for part in self._retries for each in part)
        waiting += self._queue.clear()
        self._retries.clear()
        for each in waiting:
            each.fail(NotReady("the model does not answer"))
        _log.error("the model has not answered for %g s", self._config.watchdog_s)
        self._tell_if_drained()

    def _wake_if_stuck(self) -> None:
        retries = self._retries
        oldest_s = retries[-1][0].enqueued_s if retries else self._queue.oldest_s()
        late_s = self._pace.late_s(self._clock(), oldest_s)
        if late_s > self._config.watchdog_s:
            _log.error("requests wait and nothing runs, a batch is %g s late", late_s)
            self.stats.woken += 1
            self._start_next()

    def _recover(self, reason: str) -> None:
        self.hanging = False
        _log.warning(reason)

    def _tell_if_drained(self) -> None:
        if not self._closed:
            return
        busy = self._running is not None or self._retries or self._queue.caller_count
        if self.hanging or not busy:
            self._drained.set()
