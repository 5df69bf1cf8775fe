"""Who waits for a batch: interactive work before batch work."""

from typing import Final, Generic, TypeVar

from recserve_server.batching.caller import Caller
from recserve_server.batching.lanes import Lanes
from recserve_server.batching.terms import Priority

Request = TypeVar("Request")
Answer = TypeVar("Answer")

# A member of an enum is looked up by a function in Python: too slow for every call.
_BATCH: Final = Priority.BATCH


class BatchQueue(Generic[Request, Answer]):
    """Callers in the order in which they are taken; each may leave at any time.

    Interactive callers are taken strictly before batch ones, who get the room that those leave in a
    batch: as long as interactive work fills every batch, batch work waits.
    """

    def __init__(self) -> None:
        self.interactive: Lanes[Request, Answer] = Lanes()
        self.batch: Lanes[Request, Answer] = Lanes()
        self.caller_count = 0
        self.request_count = 0
        """Requests of all callers."""

    @property
    def tenant_count(self) -> int:
        """Tenants that have something waiting."""
        return len({*self.interactive, *self.batch})

    def place_of(self, tenant: str, priority: Priority, size: int) -> int:
        """Returns as which one the last of `size` new requests is taken, at the latest.

        That is if nobody comes after them; see `Lanes.place_of`.
        """
        if priority is _BATCH:
            return self.interactive.request_count + self.batch.place_of(tenant, size)
        return self.interactive.place_of(tenant, size)

    def append(self, caller: Caller[Request, Answer]) -> None:
        """Lets a caller queue up."""
        lanes = self.batch if caller.terms.priority is _BATCH else self.interactive
        lanes.append(caller)
        self.caller_count += 1
        self.request_count += len(caller.requests)

    def discard(self, caller: Caller[Request, Answer]) -> None:
        """Lets a caller go, if it is still waiting."""
        lanes = self.batch if caller.terms.priority is _BATCH else self.interactive
        if lanes.discard(caller):
            self.caller_count -= 1
            self.request_count -= len(caller.requests)

    def oldest_s(self) -> float:
        """Returns since when the first of all waits; infinity if there is nobody."""
        lanes = (*self.interactive.lanes(), *self.batch.lanes())
        return min((lane.oldest().enqueued_s for lane in lanes), default=float("inf"))

    def take(self, max_requests: int) -> list[Caller[Request, Answer]]:
        """Removes and returns the next callers, with `max_requests` requests at most."""
        taken: list[Caller[Request, Answer]] = []
        room = self.interactive.take(max_requests, taken)
        if room and self.batch.request_count:
            room = self.batch.take(room, taken)
        self.caller_count -= len(taken)
        self.request_count -= max_requests - room
        return taken

    def clear(self) -> list[Caller[Request, Answer]]:
        """Removes and returns everybody."""
        self.caller_count = self.request_count = 0
        return self.interactive.clear() + self.batch.clear()
