"""Who waits for an answer, in order of arrival."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from recserve_server.errors import ServingError

Request = TypeVar("Request")
Answer = TypeVar("Answer")


@dataclass(slots=True, eq=False)
class Caller(Generic[Request, Answer]):
    """Who waits: for the answer to one request, or for those to several together."""

    requests: Sequence[Request]
    enqueued_s: float
    deadline_s: float
    """On the batcher's clock; infinity if the answer is never too late."""
    reply: "asyncio.Future[Sequence[Answer]]"
    """Done when answered, told why not, or gone."""

    def answer(self, answers: Sequence[Answer | ServingError]) -> None:
        """Hands over the answers, or the first failure among them."""
        failure = next((each for each in answers if isinstance(each, ServingError)), None)
        if failure is not None:
            self.fail(failure)
        elif not self.reply.done():
            self.reply.set_result(cast(Sequence[Answer], answers))

    def fail(self, error: ServingError) -> None:
        """Tells why there is no answer."""
        if not self.reply.done():
            self.reply.set_exception(error)

    def leave(self) -> None:
        """Stops to wait; whatever the reply has become is of no interest."""
        if not self.reply.cancel() and not self.reply.cancelled():
            self.reply.exception()  # asyncio complains of an exception that nobody looked at


class BatchQueue(Generic[Request, Answer]):
    """Callers in order of arrival; each may leave at any time."""

    def __init__(self) -> None:
        # Ordered by links: an ordinary dict searches through all that left at its front.
        self._callers: OrderedDict[Caller[Request, Answer], None] = OrderedDict()
        self.request_count = 0
        """Requests of all callers."""

    def __len__(self) -> int:
        return len(self._callers)

    def append(self, caller: Caller[Request, Answer]) -> None:
        """Lets a caller queue up."""
        self._callers[caller] = None
        self.request_count += len(caller.requests)

    def discard(self, caller: Caller[Request, Answer]) -> None:
        """Lets a caller go, if it is still waiting."""
        if caller in self._callers:
            del self._callers[caller]
            self.request_count -= len(caller.requests)

    def oldest(self) -> Caller[Request, Answer]:
        """Returns who waits longest; there must be someone."""
        return next(iter(self._callers))

    def take(self, max_requests: int) -> list[Caller[Request, Answer]]:
        """Removes and returns the longest waiting callers, with `max_requests` requests at most.

        The first of them is taken whatever its size.
        """
        taken: list[Caller[Request, Answer]] = []
        room = max_requests
        while self._callers and (not taken or len(self.oldest().requests) <= room):
            caller, _ = self._callers.popitem(last=False)
            room -= len(caller.requests)
            taken.append(caller)
        self.request_count -= max_requests - room
        return taken

    def clear(self) -> list[Caller[Request, Answer]]:
        """Removes and returns everybody."""
        callers = list(self._callers)
        self._callers.clear()
        self.request_count = 0
        return callers
