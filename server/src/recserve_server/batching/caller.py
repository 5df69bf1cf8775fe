"""Who waits for an answer, and those of them who share a batch."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar, cast

from recserve_server.batching.terms import Priority, Terms, Timing
from recserve_server.errors import ExpiredInQueue, ServingError
from recserve_server.stats import BatchStats

Request = TypeVar("Request")
Answer = TypeVar("Answer")

# A member of an enum is looked up by a function in Python: too slow for every call.
_BATCH: Final = Priority.BATCH
# Room for one in so many of a batch's requests is enough for batch work not to wait.
_BATCH_WORK_PARTS: Final = 16


@dataclass(slots=True, eq=False)
class Caller(Generic[Request, Answer]):
    """Who waits: for the answer to one request, or for those to several together."""

    requests: Sequence[Request]
    enqueued_s: float
    deadline_s: float
    """On the batcher's clock; infinity if the answer is never too late."""
    reply: "asyncio.Future[Sequence[Answer]]"
    """Done when answered, told why not, or gone."""
    terms: Terms
    group: object = None
    """The same for all callers whose requests make up one group; None for one alone."""

    def answer(self, answers: Sequence[Answer | ServingError]) -> None:
        """Hands over the answers, or the first failure among them."""
        for each in answers:
            if isinstance(each, ServingError):
                self.fail(each)
                return
        if not self.reply.done():
            self.reply.set_result(cast(Sequence[Answer], answers))

    def fail(self, error: ServingError) -> None:
        """Tells why there is no answer."""
        if not self.reply.done():
            self.reply.set_exception(error)

    def leave(self) -> None:
        """Stops to wait; whatever the reply has become is of no interest."""
        if not self.reply.cancel() and not self.reply.cancelled():
            self.reply.exception()  # asyncio complains of an exception that nobody looked at


def callers_of(
    requests: Sequence[Request], terms: Terms, now_s: float, max_batch_size: int
) -> Sequence[Caller[Request, Answer]]:
    """Returns who waits, from `now_s` on, for the answers to `requests`: several if they are many.

    Batch work comes in small parts, to fit in what room interactive work leaves in a batch.
    """
    if terms.timing is not None:
        terms.timing.enqueued_s = now_s
    deadline_s = math.inf if terms.timeout_s is None else now_s + terms.timeout_s
    size = max_batch_size
    if terms.priority is _BATCH:
        size = max(1, max_batch_size // _BATCH_WORK_PARTS)
    # Not the loop's `create_future`: that is in Python and does nothing else.
    new_reply: type[asyncio.Future[Sequence[Answer]]] = asyncio.Future
    if 0 < len(requests) <= size:
        return (Caller(requests, now_s, deadline_s, new_reply(), terms),)
    group = object()
    parts = [requests[start : start + size] for start in range(0, len(requests), size)]
    return [Caller(part, now_s, deadline_s, new_reply(), terms, group) for part in parts]


def still_waiting(
    callers: list[Caller[Request, Answer]], now_s: float
) -> list[Caller[Request, Answer]]:
    """Returns those whose answer is of use to someone; tells the others that it came late."""
    waiting = [each for each in callers if now_s < each.deadline_s and not each.reply.done()]
    if len(waiting) < len(callers):
        for each in callers:
            if each.deadline_s <= now_s:
                each.fail(ExpiredInQueue(now_s - each.enqueued_s))
    return waiting


@dataclass(slots=True, eq=False)
class Batch(Generic[Request, Answer]):
    """Callers whose requests the model takes together."""

    callers: list[Caller[Request, Answer]]
    requests: list[Request] = field(default_factory=list)
    """Of all callers, in their order; empty until the batch has started."""
    _timings: Sequence[Timing] = ()

    def start(self, now_s: float, stats: BatchStats) -> None:
        """Gathers the requests and notes how long each has waited and how many they are."""
        requests = self.requests
        timings: list[Timing] = []
        for each in self.callers:
            requests += each.requests
            terms = each.terms
            waits = stats.batch_queue_wait_s if terms.priority is _BATCH else stats.queue_wait_s
            waits.add(now_s - each.enqueued_s, len(each.requests))
            if terms.timing is not None:
                timings.append(terms.timing)
        stats.batch_size.add(len(requests))
        self._timings = timings
        for timing in timings:
            timing.started_s = timing.started_s or now_s
            timing.batch_size = len(requests)

    def end(self, now_s: float) -> None:
        """Notes that the model is done with it."""
        for timing in self._timings:
            timing.finished_s = now_s

    def answer(self, answers: Sequence[Answer | ServingError]) -> int:
        """Hands each caller its own answers; returns how many came after their caller had gone."""
        start = wasted = 0
        for each in self.callers:
            stop = start + len(each.requests)
            if each.reply.done():
                wasted += stop - start
            each.answer(answers[start:stop])
            start = stop
        return wasted

    def fail(self, error: ServingError) -> None:
        """Tells every caller why there is no answer."""
        for each in self.callers:
            each.fail(error)
