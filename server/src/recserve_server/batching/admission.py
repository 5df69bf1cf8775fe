"""Who may queue up, and who is told at once that it is of no use."""

from collections.abc import Sequence
from typing import Generic, TypeVar

from recserve_server.batching.caller import Caller
from recserve_server.batching.eviction import find_victims
from recserve_server.batching.pace import MARGIN, SHORTEST_RETRY_S, Pace
from recserve_server.batching.queue import BatchQueue
from recserve_server.batching.terms import Terms
from recserve_server.config import BatchingConfig
from recserve_server.errors import DeadlineTooShort, QueueFull, WaitTooLong

Request = TypeVar("Request")
Answer = TypeVar("Answer")


class Admission(Generic[Request, Answer]):
    """The door of one queue."""

    def __init__(
        self, config: BatchingConfig, queue: BatchQueue[Request, Answer], pace: Pace
    ) -> None:
        self._queue, self._pace = queue, pace
        self._max_enqueued = config.max_enqueued
        self._max_batch_size = config.max_batch_size
        self._max_wait_s = config.max_queue_delay_ms / 1000 or float("inf")

    def admit(self, terms: Terms, size: int, now_s: float) -> Sequence[Caller[Request, Answer]]:
        """Returns who has to go so that `size` requests fit in, nobody as a rule.

        Raises:
            QueueFull: there is no room, or the estimated wait is longer than any may be.
            DeadlineTooShort: the answer would come after the caller's timeout.
        """
        victims: Sequence[Caller[Request, Answer]] = ()
        total = self._queue.request_count + size
        if total > self._max_enqueued:
            victims = find_victims(self._queue, terms, size, total - self._max_enqueued)
            if not victims:
                raise self.queue_full()
        timeout_s = terms.timeout_s
        # Nobody waits longer than for the batch under way, those of all that there are, and their
        # own; most of the time that is short enough.
        longest_s = MARGIN * (2 + total // self._max_batch_size) * self._pace.batch_s
        if longest_s > self._max_wait_s or (timeout_s is not None and longest_s > timeout_s):
            self._check_wait(terms, size, now_s)
        return victims

    def queue_full(self) -> QueueFull:
        """Returns what whoever does not fit in is told."""
        retry_after_s = self._pace.time_to_empty_s(self._queue.request_count)
        return QueueFull(self._max_enqueued, retry_after_s)

    def _check_wait(self, terms: Terms, size: int, now_s: float) -> None:
        place = self._queue.place_of(terms.tenant, terms.priority, size)
        if terms.timeout_s is not None:
            answer_s = self._pace.answer_s(now_s, place - 1)
            if terms.timeout_s < answer_s:
                raise DeadlineTooShort(terms.timeout_s, answer_s)
        wait_s = self._pace.estimated_wait_s(now_s, place - 1)
        # Whoever has nobody before them is let in: if nobody were, one batch that was slow by
        # chance could keep all others out.
        if wait_s > self._max_wait_s and place > size:
            retry_after_s = max(SHORTEST_RETRY_S, wait_s - self._max_wait_s)
            raise WaitTooLong(wait_s, self._max_wait_s, retry_after_s)
