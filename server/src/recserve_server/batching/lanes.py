"""Callers of one priority, whose tenants take turns."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from recserve_server.batching.caller import Caller

Request = TypeVar("Request")
Answer = TypeVar("Answer")


@dataclass(slots=True, eq=False)
class Lane(Generic[Request, Answer]):
    """What one tenant has waiting, in order of arrival."""

    # Ordered by links: an ordinary dict searches through all that left at its front.
    callers: OrderedDict[Caller[Request, Answer], None] = field(default_factory=OrderedDict)
    request_count: int = 0
    credit: int = 0
    """Requests that the tenant has earned and not had taken yet."""

    def oldest(self) -> Caller[Request, Answer]:
        """Returns who waits longest; a lane is never empty."""
        return next(iter(self.callers))


class Lanes(Generic[Request, Answer]):
    """A queue that is fair between tenants, and in order of arrival for each of them.

    Deficit round robin (Shreedhar and Varghese, "Efficient fair queuing using deficit round robin",
    SIGCOMM 1995) with a quantum of one request: at each of its turns a tenant earns the right to
    one request more, and its oldest caller is taken once it has earned as many as that one has. So
    while several tenants wait, each has as many requests taken as any other, but for the size of
    a caller. There are no more turns than requests: each costs the same however many tenants there
    are. A tenant that has nothing waiting is forgotten.
    """

    def __init__(self) -> None:
        # In order of their turns.
        self._lanes: OrderedDict[str, Lane[Request, Answer]] = OrderedDict()
        self._credit = 0  # of all lanes
        # An empty one: a lone caller would have one made and freed with every call.
        self._spare: Lane[Request, Answer] | None = None
        self.request_count = 0
        """Requests of all callers."""

    def __iter__(self) -> Iterator[str]:
        """Yields the tenants that have something waiting."""
        return iter(self._lanes)

    def lanes(self) -> Iterable[Lane[Request, Answer]]:
        """Returns the lanes, none of them empty."""
        return self._lanes.values()

    def requests_of(self, tenant: str) -> int:
        """Returns how many requests of `tenant` wait."""
        lane = self._lanes.get(tenant)
        return 0 if lane is None else lane.request_count

    def place_of(self, tenant: str, size: int) -> int:
        """Returns as which one the last of `size` new requests is taken, at the latest.

        Nobody who comes later is counted. By the time they are taken, every other tenant has had a
        turn for each request of `tenant`, and has spent what it had earned before.
        """
        own = self.requests_of(tenant) + size
        others = len(self._lanes) - (tenant in self._lanes)
        return min(self.request_count + size, own + others * own + self._credit)

    def append(self, caller: Caller[Request, Answer]) -> None:
        """Lets a caller queue up; a tenant that is new has its turn after all others."""
        tenant = caller.terms.tenant
        lane = self._lanes.get(tenant)
        if lane is None:
            lane = self._lanes[tenant] = self._spare or Lane()
            self._spare = None
        size = len(caller.requests)
        lane.callers[caller] = None
        lane.request_count += size
        self.request_count += size

    def discard(self, caller: Caller[Request, Answer]) -> bool:
        """Lets a caller go; returns False if it was not waiting any more."""
        tenant = caller.terms.tenant
        lane = self._lanes.get(tenant)
        if lane is None or caller not in lane.callers:
            return False
        del lane.callers[caller]
        self._count_out(tenant, lane, len(caller.requests))
        return True

    def take(self, max_requests: int, taken: list[Caller[Request, Answer]]) -> int:
        """Moves those whose turn it is to `taken`; returns how many of `max_requests` are left.

        It ends at the first who is larger than what is left, and who is first the next time.
        """
        room = max_requests
        while room and self._lanes:
            tenant, lane = next(iter(self._lanes.items()))
            if len(self._lanes) == 1:
                return self._take_in_order(tenant, lane, room, taken)
            size = len(lane.oldest().requests)
            if self._earns(lane, size):
                if size > room:
                    break
                room -= size
                taken.append(lane.callers.popitem(last=False)[0])
                self._pay(lane, size)
                self._count_out(tenant, lane, size)
            if lane.callers:
                self._lanes.move_to_end(tenant)
        return room

    def clear(self) -> list[Caller[Request, Answer]]:
        """Removes and returns everybody."""
        callers = [caller for lane in self._lanes.values() for caller in lane.callers]
        self._lanes.clear()
        self._credit = self.request_count = 0
        return callers

    def _earns(self, lane: Lane[Request, Answer], size: int) -> bool:
        """Gives a lane the credit of its turn, unless it has enough for `size` requests already."""
        if lane.credit < size:
            self._pay(lane, -1)
        return lane.credit >= size

    def _take_in_order(
        self,
        tenant: str,
        lane: Lane[Request, Answer],
        room: int,
        taken: list[Caller[Request, Answer]],
    ) -> int:
        """Takes from the only lane, which has all turns."""
        callers, left = lane.callers, room
        while callers:
            caller = next(iter(callers))
            size = len(caller.requests)
            if size > left:
                self._pay(lane, lane.credit - size)
                break
            left -= size
            taken.append(caller)
            del callers[caller]
        self._count_out(tenant, lane, room - left)
        return left

    def _pay(self, lane: Lane[Request, Answer], credit: int) -> None:
        lane.credit -= credit
        self._credit -= credit

    def _count_out(self, tenant: str, lane: Lane[Request, Answer], requests: int) -> None:
        """Counts requests that have gone, and forgets a tenant that has none left."""
        lane.request_count -= requests
        self.request_count -= requests
        if not lane.callers:
            if lane.credit:
                self._pay(lane, lane.credit)
            del self._lanes[tenant]
            self._spare = lane
